/** Hubs, and the dependants that run while they run. */
import { describe, expect, type TestContext, test } from 'vitest';
import { freePort, freePorts } from '../support/free-ports.ts';
import { httpdCommand } from './support/apps.ts';
import { createConfigFolder } from './support/config-folder.ts';
import type { TestContainer } from './support/container.ts';
import { get } from './support/http.ts';
import { runCli } from './support/proxy.ts';
import { connectTcp } from './support/tcp.ts';
import { openTestBed, type TestBed, writeConfig } from './support/test-bed.ts';
import { waitUntil } from './support/wait-until.ts';

const open = ({ onTestFinished }: TestContext) => openTestBed({ onTestFinished });

/** Stopped containers, by their short names. */
function createAll({ scope }: TestBed, shorts: readonly string[]): Promise<TestContainer[]> {
  return Promise.all(
    shorts.map((short) => scope.createContainer({ name: scope.name(short), cmd: httpdCommand() })),
  );
}

describe.concurrent('a hub', () => {
  test('wakes its dependants, holds them beyond their own idle timeout, and stops them with itself', async (context) => {
    const bed = await open(context);
    const { events, scope } = bed;
    const [hubPort = 0, nodePort = 0] = await freePorts(2);
    // One is a service itself, the other one is in no file and has no labels.
    const [hub, node, stray] = [scope.name('hub'), scope.name('node'), scope.name('stray')];
    await createAll(bed, ['hub', 'node', 'stray']);
    await bed.startProxy({
      services: {
        [hub]: { ports: [`${hubPort}:80`], idle_timeout: '2s', dependants: [node, stray] },
        [node]: { ports: [`${nodePort}:80`], idle_timeout: '0s' },
      },
    });
    expect((await get(hubPort)).body).toBe('hello');
    for (const name of [node, stray]) await events.waitFor(name, 'start');
    // For itself the node would stop as soon as this connection has ended.
    await get(nodePort);
    const hubDied = await events.waitFor(hub, 'die');
    for (const name of [node, stray]) {
      expect((await events.waitFor(name, 'die')).at).toBeGreaterThanOrEqual(hubDied.at);
      expect(events.of(name, 'start')).toHaveLength(1);
    }
  });

  test('takes its dependants along when it is started and stopped by somebody else', async (context) => {
    const bed = await open(context);
    const port = await freePort();
    const [hub, node] = await createAll(bed, ['hub', 'node']);
    if (hub === undefined || node === undefined) throw new Error('two containers were asked for');
    await bed.startProxy({ services: { [hub.name]: { ports: [`${port}:80`], dependants: [node.name] } } });
    await hub.start();
    await bed.events.waitFor(node.name, 'start');
    await hub.stop();
    await bed.events.waitFor(node.name, 'die');
  });

  test('leaves a dependant to another hub that still runs', async (context) => {
    const bed = await open(context);
    const { events, scope } = bed;
    const [firstPort = 0, secondPort = 0] = await freePorts(2);
    const [first, second, node] = [scope.name('first'), scope.name('second'), scope.name('node')];
    await createAll(bed, ['first', 'second', 'node']);
    const proxy = await bed.startProxy({
      services: {
        [first]: { ports: [`${firstPort}:80`], idle_timeout: '1s', dependants: [node] },
        [second]: { ports: [`${secondPort}:80`], idle_timeout: '1s', dependants: [node] },
      },
    });
    const held = await connectTcp(secondPort);
    bed.atEnd(() => held.destroy());
    await events.waitFor(second, 'start');
    const from = proxy.logs().length;
    await get(firstPort);
    await proxy.waitForLog((line) => line.event === 'asleep' && line.service === first, { from });
    // Were the node told to stop with the first hub, this would have it started again.
    await get(firstPort);
    held.destroy();
    await events.waitFor(second, 'die');
    await events.waitFor(node, 'die');
    expect(events.of(node, 'start')).toHaveLength(1);
  });
});

test('a cycle of dependants is refused by validate, with its place', async ({ onTestFinished }) => {
  const services = {
    a: { ports: ['9000:80'], dependants: ['b'] },
    b: { ports: ['9001:80'], dependants: ['a'] },
  };
  const files = await createConfigFolder(writeConfig(services));
  onTestFinished(() => files.remove());
  const { status, stdout } = await runCli(['validate', files.configFile]);
  expect(status).toBe(1);
  expect(stdout).toMatch(/lazy-proxy\.yaml:\d+:\d+ error .*a → b → a|lazy-proxy\.yaml:\d+:\d+ error .*cycle/);
});

test.each([
  ['its dependant', true],
  ['which nobody names', false],
])('a container that uses the network of another one, %s, is woken again and again', async (_, isNamed) => {
  const bed = await openTestBed();
  const port = await freePort();
  const [vpn, app] = [bed.scope.name('vpn'), bed.scope.name('app')];
  const owner = await bed.scope.createContainer({ name: vpn, cmd: httpdCommand({ port: 81 }) });
  await bed.scope.createContainer({ name: app, cmd: httpdCommand(), networkMode: `container:${vpn}` });
  const dependants = isNamed ? [vpn] : [];
  await bed.startProxy({
    services: { [app]: { ports: [`${port}:80`], idle_timeout: '0s', dependants } },
  });
  for (let round = 1; round <= 8; round++) {
    expect((await get(port, { timeoutMs: 30_000 })).body).toBe('hello');
    await bed.events.waitFor(app, 'die', { nth: round });
    if (!isNamed) await owner.stop();
    // Every other time the next client comes while the owner of the network is just being stopped.
    else if (round % 2 === 0) await waitUntil(async () => (await owner.state()) === 'exited');
  }
});
