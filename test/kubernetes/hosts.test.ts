/** Workloads whose annotations say their hosts, behind a front door of the file. */
import { expect, test } from 'vitest';
import { get } from '../engine/support/http.ts';
import { freePort, freePorts } from '../support/free-ports.ts';
import { openKubeBed } from './support/kube-bed.ts';

test('workloads behind one port are told apart by the hosts of their annotations, and each wakes alone', async ({
  onTestFinished,
}) => {
  const bed = await openKubeBed({ onTestFinished });
  const [door = 0, ownPort = 0] = await freePorts(2);
  const create = async (name: string, fields: Parameters<typeof bed.annotations>[0]) => {
    const targetPort = await freePort();
    await bed.playPod({ kind: 'http', address: '0.0.0.0', port: targetPort, name });
    const ports = [
      { name: 'other', port: 81, targetPort: await freePort() },
      { name: 'web', port: 80, targetPort },
    ];
    return bed.createWorkload({ name, annotations: bed.annotations(fields), ports });
  };
  // By the name and by the number of the Service's port.
  const wiki = await create('wiki', { hosts: ['wiki.test', '*.wiki.test'], http_port: 'web' });
  const blog = await create('blog', { hosts: ['blog.test'], http_port: 80, http_ports: [`${ownPort}:web`] });
  await bed.startProxy({ config: `http: { listen: "127.0.0.1:${door}" }\nservices: {}\n` });
  const ask = (host: string) => get(door, { headers: { host } });

  expect((await ask('other.test')).status).toBe(404);
  expect((await ask('a.wiki.test')).body).toBe('wiki');
  expect([(await wiki.read()).spec.replicas, (await blog.read()).spec.replicas]).toEqual([1, 0]);
  expect((await ask('blog.test')).body).toBe('blog');
  expect((await get(ownPort)).body).toBe('blog');
});
