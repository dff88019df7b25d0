import { expect } from 'vitest';
import type { ServiceAnswer } from '../../../src/status/api/answers.ts';
import { type ProxyProcess, runCli } from './proxy.ts';
import { connectTcp } from './tcp.ts';
import { waitUntil } from './wait-until.ts';

export interface Steered {
  readonly proxy: ProxyProcess;
  /** The token that the proxy was started with. */
  readonly token: string;
  /** A service that sleeps, and sleeps again a second or two after its last client has left. */
  readonly service: string;
  /** One of its ports, which keeps a client that says nothing. */
  readonly port: number;
  /** Whether the engine says that it runs, or is to run. */
  readonly isUp: () => Promise<boolean>;
}

/** Has the commands wake, hold, release and put to sleep a service, and looks at what they say and what the engine does. */
export async function expectSteeredByCommands({ proxy, token, service, port, isUp }: Steered): Promise<void> {
  const type = (...args: readonly string[]) =>
    runCli([...args, '--url', proxy.statusUrl], { env: { LAZY_PROXY_TOKEN: token }, timeoutMs: 30_000 });
  const typed = async (...args: readonly string[]) => {
    const { stdout, stderr, status } = await type(...args);
    expect({ stderr, status }, args.join(' ')).toEqual({ stderr: '', status: 0 });
    return stdout;
  };
  const read = async () => JSON.parse(await typed('status', '--json', service)) as ServiceAnswer;
  const untilLife = (life: string) =>
    waitUntil(async () => (await read()).life === life, { what: life, timeoutMs: 30_000, everyMs: 100 });
  const untilUp = (isWanted: boolean) =>
    waitUntil(async () => (await isUp()) === isWanted, { what: `up: ${isWanted}`, timeoutMs: 30_000 });

  expect(await typed('status', service)).toMatch(/ asleep /);
  expect(await typed('hold', service, '--for', '2h')).toMatch(/^\S+ is (waking|awake)/);
  await untilUp(true);
  await untilLife('awake');
  expect((await read()).why).toMatchObject({ leases: 1, kept_by: ['hold'] });
  const explained = await typed('explain', service);
  expect(explained).toMatch(/awake/);
  expect(explained).toMatch(/held by hand until/);
  expect(explained).toMatch(/by hand, from 127\.0\.0\.1/);

  // Nobody else wants it awake.
  await typed('release', service);
  await untilUp(false);
  await untilLife('asleep');

  const heldAt = (await read()).last_wake?.at;
  await typed('wake', service);
  await waitUntil(async () => (await read()).last_wake?.at !== heldAt, { what: 'the next wake' });
  expect((await read()).last_wake).toMatchObject({ result: 'ready', cause: 'by hand, from 127.0.0.1' });
  await untilLife('asleep');

  const client = await connectTcp(port);
  await untilLife('awake');
  await waitUntil(async () => (await read()).why.waiting === 0, { what: 'the client to be served' });
  const refused = await type('sleep', service);
  expect(refused).toMatchObject({ status: 1, stdout: '' });
  expect(refused.stderr).toMatch(/1 client uses it; --force cuts them/);
  expect(await isUp()).toBe(true);
  await typed('sleep', service, '--force');
  await client.closed;
  client.destroy();
  await untilUp(false);
  await untilLife('asleep');
  expect(await typed('explain', service)).toMatch(/asleep.*by hand, from 127\.0\.0\.1/s);
}
