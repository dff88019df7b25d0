/** What a login of a service can't guard, because it comes without HTTP. */
import type { FieldName } from '../fields.ts';

const LOGINS = ['basic_auth', 'api_key'] as const satisfies readonly FieldName[];
const OPEN = ['udp_ports', 'tls_hosts'] as const satisfies readonly FieldName[];

export interface UnguardedPart {
  readonly login: (typeof LOGINS)[number];
  /** What would be open all the same. */
  readonly open: (typeof OPEN)[number];
}

/** Finds what a service would open to whoever comes, though it asks for a login; undefined = nothing. */
export function findUnguardedPart(read: (field: FieldName) => unknown): UnguardedPart | undefined {
  const isGiven = (field: FieldName) => ((read(field) as readonly unknown[] | undefined) ?? []).length > 0;
  const [login, open] = [LOGINS.find(isGiven), OPEN.find(isGiven)];
  return login === undefined || open === undefined ? undefined : { login, open };
}

/** In words that follow the login's name; `name` gives a field's name as the place writes it. */
export function describeUnguarded({ open }: UnguardedPart, name: (field: FieldName) => string): string {
  const what = open === 'udp_ports' ? 'datagrams carry no login' : 'TLS that is passed through hides it';
  return `can't guard ${name(open)}: ${what}; give the one or the other`;
}
