/** Who a client is, as a container sees it, and who wakes it. */
import { describe, expect, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { get } from './support/http.ts';
import { nginxImage, whyNoStandIns } from './support/stand-ins.ts';
import { connectTcp } from './support/tcp.ts';
import { getStatus, openTestBed } from './support/test-bed.ts';

/** Both are this machine. */
const CLIENT = '127.7.7.7';
const OTHER = '127.8.8.8';

describe.skipIf(whyNoStandIns() !== undefined)('nginx in a container', () => {
  test.each(['v1', 'v2'])(
    'reads its client from a PROXY header of %s, asked for by label',
    async (version) => {
      const bed = await openTestBed();
      const port = await freePort();
      const name = bed.scope.name('web');
      const server = 'listen 80 proxy_protocol; location / { return 200 "$proxy_protocol_addr"; }';
      await bed.scope.createContainer({
        ...{ name, image: await nginxImage(server), cmd: ['nginx', '-g', 'daemon off;'] },
        labels: bed.labels({
          ports: [`${port}:80`],
          proxy_protocol: version,
          wake_on: 'data',
          wake_list: [CLIENT],
        }),
      });
      const proxy = await bed.startProxy({});
      const row = () => getStatus(proxy, { service: name, port });
      // A scan, and who may not wake it.
      (await connectTcp(port)).destroy();
      await expect(get(port, { localAddress: OTHER })).rejects.toThrow();
      expect(await row()).toMatchObject({ running: false, refused: { 'wake-list': expect.any(Number) } });
      expect(await get(port, { localAddress: CLIENT })).toMatchObject({ body: CLIENT });
      // Awake, it is there for all.
      const answers = await Promise.all([CLIENT, OTHER].map((localAddress) => get(port, { localAddress })));
      expect(answers.map(({ body }) => body)).toEqual([CLIENT, OTHER]);
    },
  );
});

test.skipIf(whyNoStandIns() !== undefined)(
  'two services of one container tell it of its clients at one port, and not at the other',
  async () => {
    const bed = await openTestBed();
    const [told, plain] = [await freePort(), await freePort()];
    const name = bed.scope.name('web');
    const image = await nginxImage(
      'listen 80 proxy_protocol; listen 81; location / { return 200 "$proxy_protocol_addr"; }',
    );
    await bed.scope.createContainer({ name, image, cmd: ['nginx', '-g', 'daemon off;'] });
    const proxy = await bed.startProxy({
      services: {
        [name]: { ports: [`${told}:80`], proxy_protocol: 'v2', idle_timeout: '1s' },
        [`${name}-plain`]: { container: name, ports: [`${plain}:81`] },
      },
    });
    expect(await get(told, { localAddress: CLIENT })).toMatchObject({ body: CLIENT });
    expect(await get(plain, { localAddress: CLIENT })).toMatchObject({ status: 200, body: '' });
    // What one of them says of its idle time counts for the container.
    await proxy.waitForLog(({ msg }) => msg.startsWith(`${name} is asleep after`));
    expect(await getStatus(proxy, { service: `${name}-plain`, port: plain })).toMatchObject({
      running: false,
    });
    expect(await get(plain, { localAddress: OTHER })).toMatchObject({ status: 200 });
  },
);

test('a label that names the proxies in front has no effect', async () => {
  const bed = await openTestBed();
  const port = await freePort();
  const name = bed.scope.name('web');
  const labels = bed.labels({ ports: [`${port}:80`], accept_proxy_protocol: true });
  await bed.scope.createContainer({ name, labels, cmd: ['true'] });
  const proxy = await bed.startProxy({ config: 'trusted_proxies: [127.0.0.1]' });
  const line = await proxy.waitForLog(({ msg }) => msg.includes('accept-proxy-protocol'));
  expect(line.msg).toContain('unknown label');
});
