/**
 * The certificate authority of the proxy. Input: the domains that it has to vouch for, and the folder of what is kept. Output: the
 * one that is kept there, or a new one. Guarantees: nothing is thrown; one that is kept stays for as long as it is good for these
 * domains; what can't be used is put aside; nobody but the proxy's user can read its key.
 */
import { isInDomains } from '../../../model/web.ts';
import { parseTimestamp } from '../../../system/clock.ts';
import { messageOf } from '../../../system/message-of.ts';
import type { StateFolder } from '../../../system/state/state-folder.ts';
import {
  AUTHORITY_FILE,
  formatAuthority,
  MAX_AUTHORITY_BYTES,
  parseAuthority,
  type StoredAuthority,
} from '../../../system/tls/authority-pem.ts';
import type { CertificateFault } from '../../../system/tls/check-certificate.ts';
import { makeAuthority, readConstraints } from './make-certificate.ts';

/** What whoever runs the proxy has to know of its certificates. */
export type TellCertificate = (news: {
  readonly severity: CertificateFault['severity'] | 'info';
  readonly message: string;
}) => void;

export interface Authority extends StoredAuthority {
  /** It vouches for these, and for all names below. */
  readonly domains: readonly string[];
  /** When it ends, ms since the epoch. */
  readonly untilMs: number;
  /** Why it is not kept, so that the next start makes another one; undefined where it is. */
  readonly lack: string | undefined;
}

export type AuthorityState = Pick<StateFolder, 'lack' | 'read' | 'write' | 'setAside' | 'closeToOthers'>;

interface AuthorityOptions {
  /** Not empty. */
  readonly domains: readonly string[];
  readonly state: AuthorityState;
  readonly nowMs: number;
  readonly tell: TellCertificate;
}

/** Never rejects. */
export async function openAuthority(options: AuthorityOptions): Promise<Authority> {
  const { state, domains, nowMs, tell } = options;
  const found = await read(state);
  if (found === undefined) return replace(undefined, { ...options, why: undefined });
  if (typeof found === 'string')
    return replace(undefined, { ...options, why: `${AUTHORITY_FILE} in state_dir can't be used: ${found}` });
  const authority = describe(found, undefined);
  const why = findReasonAgainst(authority, { domains, nowMs });
  if (why !== undefined) return replace(found, { ...options, why });
  const more = authority.domains.filter((domain) => !isInDomains(domain, domains));
  if (more.length > 0)
    tell({
      severity: 'warning',
      message: `the certificate authority may still vouch for ${more.join(', ')}: where devices should no longer trust it for that, remove ${AUTHORITY_FILE} in state_dir, and have another one made`,
    });
  if (await state.closeToOthers(AUTHORITY_FILE))
    tell({
      severity: 'warning',
      message: `${AUTHORITY_FILE} in state_dir could be read by others until now: if one of them may have its key, remove it, and have devices forget this authority`,
    });
  return authority;
}

/** What is there; undefined where nothing is, else why it can't be used. */
async function read(state: AuthorityState): Promise<StoredAuthority | string | undefined> {
  try {
    const bytes = await state.read(AUTHORITY_FILE, { maxBytes: MAX_AUTHORITY_BYTES });
    return bytes && parseAuthority(String(bytes));
  } catch (error) {
    return messageOf(error);
  }
}

/** Why it can't be the authority any more; undefined where it can. */
function findReasonAgainst(
  { untilMs, cert, domains: own }: Authority,
  { domains, nowMs }: Pick<AuthorityOptions, 'domains' | 'nowMs'>,
): string | undefined {
  if (untilMs <= nowMs) return `the one from before ended on ${cert.validTo}`;
  const missing = domains.filter((domain) => !isInDomains(domain, own));
  return missing.length === 0 ? undefined : `the one from before can't vouch for ${missing.join(', ')}`;
}

/** Makes another one. What is there is put aside: `before`, else a file that is none. */
async function replace(
  before: StoredAuthority | undefined,
  { domains, state, nowMs, tell, why }: AuthorityOptions & { readonly why: string | undefined },
): Promise<Authority> {
  const made = makeAuthority({ domains, nowMs });
  const keep = async (): Promise<string | undefined> => {
    if (state.lack !== undefined) return state.lack;
    try {
      // One that is good for other domains must not be missing if the new one can't be written.
      if (before !== undefined) await state.write(`${AUTHORITY_FILE}.old`, formatAuthority(before));
      else if (why !== undefined) await state.setAside(AUTHORITY_FILE);
      await state.write(AUTHORITY_FILE, formatAuthority(made));
      return undefined;
    } catch (error) {
      return messageOf(error);
    }
  };
  const lack = await keep();
  const aside = `${AUTHORITY_FILE}.${before === undefined ? 'broken' : 'old'}`;
  const reason =
    why === undefined ? '' : ` because ${why}${lack === undefined ? `; what was there is ${aside} now` : ''}`;
  const task = 'devices have to trust its certificate, which "lazy-proxy ca" prints';
  const fleeting = `devices have to trust it after each start, since it can't be kept: ${lack}`;
  tell({
    severity: why === undefined && lack === undefined ? 'info' : 'warning',
    message: `made a ${why === undefined ? '' : 'new '}certificate authority for ${domains.join(', ')}${reason}; ${lack === undefined ? task : fleeting}`,
  });
  return describe(made, lack);
}

function describe(stored: StoredAuthority, lack: string | undefined): Authority {
  const { cert } = stored;
  return { ...stored, domains: readConstraints(cert), untilMs: parseTimestamp(cert.validTo), lack };
}
