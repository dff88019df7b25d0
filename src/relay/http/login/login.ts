/**
 * Who may use a service. Input: a request, and the passwords and keys of its service. Output: that it may go on, or the answer that
 * it gets. Guarantees: nothing is woken before; a password that was right is not checked by bcrypt again; checks that wait
 * are bounded, for all clients and for each address.
 */
import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { addressGroup } from '../../../model/address-group.ts';
import type { BasicUser } from '../../../model/web.ts';
import { headerOf } from '../message/read-request.ts';
import type { WebBinding } from '../web-binding.ts';
import type { LoginCheck, LoginResult, WebRequest } from '../web-engine.ts';

/** Passwords that were right, as a keyed hash; 64 bytes or so each. */
const MAX_REMEMBERED = 4_096;
/** Checks that wait: some seconds of work. */
const MAX_WAITING = 64;
const MAX_WAITING_OF_ADDRESS = 8;

interface Checker {
  check(password: string, hash: string): Promise<boolean>;
  close(): void;
}

type Policy = Pick<WebBinding['policy'], 'basicAuth' | 'apiKeys'>;

const BUSY: LoginResult = {
  ...{ status: 429, text: 'Too many passwords are being checked; try again soon.' },
  headers: { 'Retry-After': '2' },
};

export class Login implements LoginCheck {
  readonly #checker: Checker;
  readonly #key = randomBytes(32);
  /** Oldest first. */
  readonly #right = new Set<string>();
  readonly #underWay = new Map<string, Promise<boolean>>();
  readonly #waitingOf = new Map<string, number>();
  #waiting = 0;

  constructor(checker: Checker) {
    this.#checker = checker;
  }

  check(
    { read: { headers }, address }: Pick<WebRequest, 'read' | 'address'>,
    { service, policy }: { readonly service: string; readonly policy: Policy },
  ): LoginResult | undefined | Promise<LoginResult | undefined> {
    const { basicAuth, apiKeys } = policy;
    if (apiKeys.length > 0) {
      const given = headerOf(headers, 'x-api-key');
      if (given === undefined || !isOneOf(given, apiKeys))
        return { status: 401, text: 'This needs a key (X-API-Key).', isWrong: given !== undefined };
    }
    if (basicAuth.length === 0) return undefined;
    const given = readBasic(headerOf(headers, 'authorization'));
    const refusal: LoginResult = {
      ...{ status: 401, text: 'This needs a name and a password.', isWrong: given !== undefined },
      headers: { 'WWW-Authenticate': `Basic realm="${quotable(service)}", charset="UTF-8"` },
    };
    if (given === undefined) return refusal;
    const users = basicAuth.filter(({ user }) => user === given.user);
    const digest = this.#digest(given, users);
    if (this.#right.has(digest)) return undefined;
    // A name that nobody has takes as long as one that somebody has.
    const asked = users.length > 0 ? users : basicAuth.slice(0, 1);
    const underWay =
      this.#underWay.get(digest) ??
      this.#begin(given.password, { asked, digest, address, isKnown: users.length > 0 });
    return underWay?.then((fits) => (fits ? undefined : refusal)) ?? BUSY;
  }

  close(): void {
    this.#checker.close();
  }

  /** Undefined where too many are being checked. */
  #begin(
    password: string,
    options: {
      readonly asked: readonly BasicUser[];
      readonly isKnown: boolean;
      readonly digest: string;
      readonly address: string;
    },
  ): Promise<boolean> | undefined {
    const { asked, digest, isKnown } = options;
    const address = addressGroup(options.address);
    const ofAddress = this.#waitingOf.get(address) ?? 0;
    if (this.#waiting >= MAX_WAITING || ofAddress >= MAX_WAITING_OF_ADDRESS) return undefined;
    this.#waiting++;
    this.#waitingOf.set(address, ofAddress + 1);
    const checked = this.#ask(password, asked).then((fits) => {
      if (fits && isKnown) this.#remember(digest);
      return fits && isKnown;
    });
    const ended = checked.finally(() => {
      this.#waiting--;
      this.#underWay.delete(digest);
      const left = (this.#waitingOf.get(address) ?? 1) - 1;
      if (left > 0) this.#waitingOf.set(address, left);
      else this.#waitingOf.delete(address);
    });
    this.#underWay.set(digest, ended);
    return ended;
  }

  async #ask(password: string, users: readonly BasicUser[]): Promise<boolean> {
    for (const { hash } of users) if (await this.#checker.check(password, hash)) return true;
    return false;
  }

  #remember(digest: string): void {
    const [oldest] = this.#right;
    if (this.#right.size >= MAX_REMEMBERED && oldest !== undefined) this.#right.delete(oldest);
    this.#right.add(digest);
  }

  /** Of the password together with what it has to fit: a changed hash is checked anew. */
  #digest({ user, password }: Given, users: readonly BasicUser[]): string {
    const hmac = createHmac('sha256', this.#key).update(JSON.stringify([user, password]));
    for (const { hash } of users) hmac.update(`\n${hash}`);
    return hmac.digest('base64');
  }
}

interface Given {
  readonly user: string;
  readonly password: string;
}

/** RFC 7617 */
function readBasic(header: string | undefined): Given | undefined {
  const [, coded] = /^basic +([A-Za-z0-9+/=]+) *$/i.exec(header ?? '') ?? [];
  if (coded === undefined) return undefined;
  const text = Buffer.from(coded, 'base64').toString();
  const colon = text.indexOf(':');
  return colon < 0 ? undefined : { user: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** Takes as long whichever it is. */
function isOneOf(given: string, keys: readonly string[]): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  // Node reads headers as latin1; a key may be any text.
  const bytes = digest(Buffer.from(given, 'latin1').toString());
  return keys.reduce((found, key) => timingSafeEqual(digest(key), bytes) || found, false);
}

function quotable(text: string): string {
  return text.replace(/[^\x20-\x7e]|["\\]/g, '_');
}
