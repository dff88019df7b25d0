import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { hashSync } from 'bcryptjs';
import { afterEach, describe, expect, test } from 'vitest';
import { Login } from '../../../../src/relay/http/login/login.ts';
import { PasswordChecker } from '../../../../src/relay/http/login/password-checker.ts';
import { type ReadRequest, readRequest } from '../../../../src/relay/http/message/read-request.ts';
import { systemClock } from '../../../../src/system/clock.ts';
import { THREAD_FOLDER } from '../../../support/relay-thread-file.ts';

const HASH = hashSync('secret', 4);
const ANNA = { service: 'wiki', policy: { basicAuth: [{ user: 'anna', hash: HASH }], apiKeys: [] } };
const KEYED = { service: 'wiki', policy: { basicAuth: [], apiKeys: ['first', 'zweiter Schlüssel'] } };

function aRequest(headers: Readonly<Record<string, string>>, address = '10.0.0.5') {
  const list = ['Host', 'wiki.test', ...Object.entries(headers).flat()];
  const read = readRequest({ method: 'GET', target: '/', version: '1.1', headers: list }) as ReadRequest;
  return { read, address };
}

function basic(text: string, address?: string) {
  return aRequest({ Authorization: `Basic ${Buffer.from(text).toString('base64')}` }, address);
}

describe('Login', () => {
  /** Answers when the test says so. */
  class FakeChecker {
    readonly asked: { readonly password: string; answer(fits: boolean): void }[] = [];
    check(password: string): Promise<boolean> {
      return new Promise((answer) => this.asked.push({ password, answer }));
    }
    close(): void {}
  }

  test('asks nobody where the service has neither passwords nor keys', () => {
    const login = new Login(new FakeChecker());
    expect(
      login.check(aRequest({}), { service: 'x', policy: { basicAuth: [], apiKeys: [] } }),
    ).toBeUndefined();
  });

  test('lets in who shows one of the keys, and nobody else', () => {
    const login = new Login(new FakeChecker());
    const utf8 = Buffer.from('zweiter Schlüssel').toString('latin1');
    expect(login.check(aRequest({ 'X-API-Key': 'first' }), KEYED)).toBeUndefined();
    expect(login.check(aRequest({ 'x-api-key': utf8 }), KEYED)).toBeUndefined();
    expect(login.check(aRequest({ 'X-API-Key': 'firs' }), KEYED)).toMatchObject({
      status: 401,
      isWrong: true,
    });
    expect(login.check(aRequest({}), KEYED)).toMatchObject({ status: 401, isWrong: false });
  });

  test('asks for a password, and remembers the one that was right', async () => {
    const checker = new FakeChecker();
    const login = new Login(checker);
    expect(login.check(aRequest({}), ANNA)).toMatchObject({
      ...{ status: 401, headers: { 'WWW-Authenticate': 'Basic realm="wiki", charset="UTF-8"' } },
    });
    const first = login.check(basic('anna:secret'), ANNA);
    checker.asked[0]?.answer(true);
    expect(await first).toBeUndefined();
    expect(login.check(basic('anna:secret'), ANNA)).toBeUndefined();
    expect(checker.asked).toHaveLength(1);
  });

  test('checks again where the hash has changed, and never remembers what was wrong', async () => {
    const checker = new FakeChecker();
    const login = new Login(checker);
    for (const fits of [false, true]) {
      const checked = login.check(basic('anna:secret'), ANNA);
      checker.asked.at(-1)?.answer(fits);
      await checked;
    }
    const other = { ...ANNA, policy: { ...ANNA.policy, basicAuth: [{ user: 'anna', hash: `${HASH}x` }] } };
    expect(login.check(basic('anna:secret'), other)).toBeInstanceOf(Promise);
    expect(checker.asked).toHaveLength(3);
  });

  test('lets nobody in under a name that nobody has, though the password fits somebody', async () => {
    const checker = new FakeChecker();
    const login = new Login(checker);
    for (const _ of [1, 2]) {
      const checked = login.check(basic('eve:secret'), ANNA);
      checker.asked.at(-1)?.answer(true);
      expect(await checked).toMatchObject({ status: 401, isWrong: true });
    }
  });

  test('checks the same password once for requests that come together', async () => {
    const checker = new FakeChecker();
    const login = new Login(checker);
    const both = [login.check(basic('anna:secret'), ANNA), login.check(basic('anna:secret'), ANNA)];
    expect(checker.asked).toHaveLength(1);
    checker.asked[0]?.answer(true);
    expect(await Promise.all(both)).toEqual([undefined, undefined]);
  });

  test('turns clients away while too many checks wait, first those of one address', () => {
    const login = new Login(new FakeChecker());
    const results = Array.from({ length: 9 }, (_, index) => login.check(basic(`anna:${index}`), ANNA));
    expect(results.slice(0, 8).every((result) => result instanceof Promise)).toBe(true);
    expect(results[8]).toMatchObject({ status: 429 });
    const others = Array.from({ length: 57 }, (_, index) =>
      login.check(basic(`anna:x${index}`, `10.0.${index}.1`), ANNA),
    );
    expect(others[55]).toBeInstanceOf(Promise);
    expect(others[56]).toMatchObject({ status: 429 });
  });
});

describe('PasswordChecker', () => {
  const file = pathToFileURL(path.join(THREAD_FOLDER, 'bcrypt-thread.js'));
  let checker: PasswordChecker;
  afterEach(() => checker.close());

  test.each([
    ['secret', HASH, true],
    ['wrong', HASH, false],
    ['secret', HASH.replace('$2b$', '$2y$'), true],
    ['secret', 'no hash', false],
  ])('says of %j and %j in its thread: %j', async (password, hash, fits) => {
    checker = new PasswordChecker({ file, clock: systemClock });
    expect(await checker.check(password, hash)).toBe(fits);
    expect(checker.waiting).toBe(0);
  });

  test('tells who waits when it is closed', async () => {
    checker = new PasswordChecker({ file, clock: systemClock });
    const checked = checker.check('secret', HASH);
    checker.close();
    await expect(checked).rejects.toThrow('shutting down');
  });
});
