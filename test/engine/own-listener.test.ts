/** Services whose target leads back to the proxy itself. */
import { readdir } from 'node:fs/promises';
import { describe, expect, type TestContext, test } from 'vitest';
import { freePorts } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import { get } from './support/http.ts';
import type { ProxyProcess } from './support/proxy.ts';
import { connectTcp } from './support/tcp.ts';
import { getStatus, openTestBed } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

/** What the proxy has open beside what it needs anyhow. */
const MAX_DESCRIPTORS = 100;
/** Long before the start would have taken too long. */
const MAX_REFUSAL_MS = 10_000;

const open = ({ onTestFinished }: TestContext) => openTestBed({ onTestFinished });
const countDescriptors = async ({ pid }: ProxyProcess) => (await readdir(`/proc/${pid}/fd`)).length;

/** Connects, and resolves when the client was closed. */
async function askInVain(port: number): Promise<void> {
  const client = await connectTcp(port);
  await client.closed;
  client.destroy();
}

describe.concurrent('a target that leads back to the proxy', () => {
  test('a container on the host network whose target is its own listener is refused with that reason', async (context) => {
    const bed = await open(context);
    const [port = 0, otherPort = 0] = await freePorts(2);
    const name = bed.scope.name('own');
    await bed.scope.createContainer({ name, networkMode: 'host', cmd: ['sleep', '1000'] });
    const other = bed.scope.name('other');
    await bed.scope.createContainer({ name: other, cmd: httpdCommand() });
    const proxy = await bed.startProxy({
      services: {
        own: { container: name, ports: [`${port}:${port}`] },
        other: { container: other, ports: [`${otherPort}:80`] },
      },
    });
    const startedAt = Date.now();
    await askInVain(port);
    expect(Date.now() - startedAt).toBeLessThan(MAX_REFUSAL_MS);
    const reason = `127.0.0.1:${port} is the proxy's own listener of service own`;
    expect((await proxy.waitForLog('unserved')).msg).toContain(reason);
    const row = await waitUntil(
      async () => {
        const found = await getStatus(proxy, { service: 'own', port });
        return found?.last_wake === undefined ? undefined : found;
      },
      { what: 'the last wake in the status', timeoutMs: 3_000 },
    );
    const told = expect.stringContaining(reason);
    expect(row).toMatchObject({ error: told, last_wake: { result: 'failed', reason: told } });
    for (let client = 1; client <= 20; client++) await askInVain(port);
    expect(await countDescriptors(proxy)).toBeLessThan(MAX_DESCRIPTORS);
    expect(proxy.logs().filter(({ event }) => event === 'wake-failed')).toHaveLength(1);
    expect((await get(otherPort)).body).toBe('hello');
  });

  test('two services that are each other’s target are both refused', async (context) => {
    const bed = await open(context);
    const [portA = 0, portB = 0] = await freePorts(2);
    const [nameA, nameB] = [bed.scope.name('a'), bed.scope.name('b')];
    for (const name of [nameA, nameB])
      await bed.scope.createContainer({ name, networkMode: 'host', cmd: ['sleep', '1000'] });
    const proxy = await bed.startProxy({
      services: {
        a: { container: nameA, ports: [`${portA}:${portB}`] },
        b: { container: nameB, ports: [`${portB}:${portA}`] },
      },
    });
    await Promise.all([askInVain(portA), askInVain(portB)]);
    for (const service of ['a', 'b'])
      await proxy.waitForLog(
        ({ event, msg }) =>
          event === 'unserved' && msg.includes(`is the proxy's own listener of service ${service}`),
      );
    expect(await countDescriptors(proxy)).toBeLessThan(MAX_DESCRIPTORS);
  });
});
