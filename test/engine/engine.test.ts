import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { type AppAnswer, httpdCommand, nodeApp } from './support/apps.ts';
import { startCountingSocket } from './support/counting-socket.ts';
import { createScope } from './support/engine.ts';
import { get, getJson } from './support/http.ts';
import { connectTcp } from './support/tcp.ts';
import { waitUntil } from './support/wait-until.ts';

const scope = createScope();
afterAll(() => scope.cleanup());

/** The app's answer once it listens. */
function answerOf<T>(ask: () => Promise<T>): Promise<NonNullable<T>> {
  return waitUntil(() => ask().catch(() => undefined), { what: 'an answer of the app' });
}

describe('engine under test', () => {
  test('a busybox container answers on its address when httpd runs in it', async () => {
    const web = await scope.runContainer({ name: scope.name('web'), cmd: httpdCommand({ body: 'here' }) });
    const [address] = await web.addresses();
    const answer = await answerOf(() => get(`http://${address}/`));
    expect(answer).toMatchObject({ status: 200, body: 'here' });
  });

  test('a busybox container ends at once when it is stopped politely', async () => {
    const web = await scope.runContainer({ name: scope.name('polite'), cmd: httpdCommand() });
    // Before it serves, its shell may not listen for the signal yet.
    const [address] = await web.addresses();
    await answerOf(() => get(`http://${address}/`));
    await web.stop();
    // One that had to be killed after its time of grace would say 137.
    expect((await web.inspect()).State).toMatchObject({ Status: 'exited', ExitCode: 0 });
  });

  test('a node container tells when it was started', async () => {
    const app = await scope.runContainer({ name: scope.name('app'), ...(await nodeApp({ port: 8080 })) });
    const [address] = await app.addresses();
    const answer = await answerOf(() => getJson<AppAnswer>(`http://${address}:8080/`));
    expect(answer.hostname).toBe(app.id.slice(0, 12));
    expect(Math.abs(Date.parse(await app.startedAt()) - answer.startedAt)).toBeLessThan(10_000);
  });

  test('an echo container answers when the client has ended its direction', async () => {
    const name = scope.name('echo');
    const echo = await scope.runContainer({ name, ...(await nodeApp({ mode: 'echo', port: 7 })) });
    const [address = ''] = await echo.addresses();
    const client = await answerOf(() => connectTcp(7, address));
    await client.send('ping');
    client.endSending();
    expect(String(await client.readAll())).toBe('ping');
    client.destroy();
  });

  test('an image made from another one keeps what it declares', async () => {
    const { image } = await nodeApp();
    const made = await scope.createImage({ from: image, changes: ['HEALTHCHECK --interval=1s CMD true'] });
    const info = await scope.docker.getImage(made).inspect();
    expect(info.Config.Healthcheck?.Test).toEqual(['CMD-SHELL', 'true']);
  });

  test('containers find each other when they are on the same network', async () => {
    const network = await scope.createNetwork({ name: scope.name('net') });
    const networks = [network.name];
    const web = await scope.runContainer({ name: scope.name('netweb'), networks, cmd: httpdCommand() });
    const wget = ['sh', '-c', `until wget -qO- http://${web.name}/; do sleep 0.1; done`];
    const client = await scope.runContainer({ name: scope.name('netclient'), networks, cmd: wget });
    await waitUntil(async () => (await client.state()) === 'exited');
    expect(await client.logs()).toContain('hello');
    expect((await network.members()).includes(web.id)).toBe(true);
  });

  test('a counting socket tells every request when a client asks through it', async () => {
    const counting = await startCountingSocket();
    onTestFinished(() => counting.close());
    const other = createScope({ host: counting.host });
    await other.docker.listContainers();
    await other.docker.listNetworks();
    expect(counting.count()).toBe(2);
    expect(counting.requests()[0]).toMatch(/^GET .*\/containers\/json/);
    counting.reset();
    expect(counting.count()).toBe(0);
  });
});
