/** Containers behind hosts: one port for all, one lease for each request. */
import { Agent, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../support/free-ports.ts';
import { type AppAnswer, nodeApp } from './support/apps.ts';
import { startCountingSocket } from './support/counting-socket.ts';
import { openTestBed } from './support/test-bed.ts';

interface Ask {
  readonly port: number;
  readonly host: string;
  readonly path?: string;
  readonly method?: string;
  readonly body?: string;
  readonly agent?: Agent;
}

function ask({ port, host, body, agent, ...rest }: Ask): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const options = { port, host: '127.0.0.1', ...rest, headers: { Host: host }, agent: agent ?? false };
    request(options, (answer) => {
      const { statusCode: status = 0 } = answer;
      text(answer).then((read) => resolve({ status, body: read }), reject);
    })
      .on('error', reject)
      .end(body);
  });
}

test('containers share a port by host: each is woken and sleeps by itself, and what is no request for one wakes none', async () => {
  const counting = await startCountingSocket();
  onTestFinished(() => counting.close());
  const bed = await openTestBed();
  const port = await freePort();
  const [wiki, blog] = [bed.scope.name('wiki'), bed.scope.name('blog')];
  const ofFile = await bed.scope.createContainer({ name: wiki, ...(await nodeApp({ delayMs: 700 })) });
  // The first outlives the start of the second. That one is known by labels alone; its only port is said by nobody, so it is 80.
  const labels = bed.labels({ hosts: 'blog.test, *.blog.test', idle_timeout: '1s' });
  await bed.scope.createContainer({ name: blog, labels, ...(await nodeApp()) });
  await bed.startProxy({
    config: JSON.stringify({
      http: { listen: `127.0.0.1:${port}` },
      services: { wiki: { container: wiki, hosts: ['wiki.test'], http_port: 80, idle_timeout: '5s' } },
    }),
    env: { DOCKER_HOST: counting.host },
  });

  for (const host of ['127.0.0.1', 'other.test', 'test']) {
    expect((await ask({ port, host })).status).toBe(404);
  }
  expect(bed.events.of(wiki, 'start')).toEqual([]);
  expect(bed.events.of(blog, 'start')).toEqual([]);

  // A POST waits for the start, and arrives once.
  const body = 'x'.repeat(500_000);
  const posted = await ask({ port, host: 'wiki.test', method: 'POST', path: '/first', body });
  expect(JSON.parse(posted.body) as AppAnswer).toMatchObject({
    ...{ hostname: ofFile.id.slice(0, 12), path: '/first' },
  });

  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => agent.destroy());
  expect((await ask({ port, host: 'a.blog.test', agent })).status).toBe(200);
  // The same connection stays open and in use for the other service; blog sleeps all the same.
  const asleep = bed.events.waitFor(blog, 'die');
  let isAsleep = false;
  void asleep.then(() => {
    isAsleep = true;
  });
  while (!isAsleep) expect((await ask({ port, host: 'wiki.test', agent })).status).toBe(200);
  expect(bed.events.of(wiki, 'die')).toEqual([]);
  await bed.events.exactly(wiki, 'start', 1);

  // A service that is ready is served without a word to the engine.
  counting.reset();
  for (let count = 0; count < 20; count++) await ask({ port, host: 'wiki.test', agent });
  // The end of the other container is still being looked at.
  expect(counting.requests().filter((line) => line.includes(ofFile.id) || line.includes(wiki))).toEqual([]);

  // Nothing but an idle connection is left: that keeps nothing awake.
  await bed.events.waitFor(wiki, 'die');
});
