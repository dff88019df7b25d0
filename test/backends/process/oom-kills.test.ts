import { expect, test } from 'vitest';
import { createOomKillCount } from '../../../src/backends/process/oom-kills.ts';

const V1 = '9:name=systemd:/\n4:cpu,memory:/docker/abc\n0::/\n';

test.each([
  ['version 2', '0::/user.slice/a.service\n', '/sys/fs/cgroup/user.slice/a.service/memory.events'],
  ['version 2, seen from a container', '0::/docker/abc\n', '/sys/fs/cgroup/memory.events'],
  ['version 2, in a namespace of its own', '0::/\n', '/sys/fs/cgroup/memory.events'],
  ['version 1', V1, '/sys/fs/cgroup/memory/docker/abc/memory.oom_control'],
  ['version 1, seen from a container', V1, '/sys/fs/cgroup/memory/memory.oom_control'],
])('the count of kills for want of memory is read with control groups of %s', (_, cgroup, file) => {
  const files: Readonly<Record<string, string>> = {
    '/proc/self/cgroup': cgroup,
    [file]: 'under_oom 0\noom 5\noom_kill 3\noom_group_kill 0\n',
  };
  const read = (name: string) => {
    const text = files[name];
    if (text === undefined) throw new Error(`no such file: ${name}`);
    return text;
  };
  expect(createOomKillCount(read)()).toBe(3);
});

test('the count of kills for want of memory is unknown where the system tells none', () => {
  const read = () => {
    throw new Error('no such file');
  };
  expect(createOomKillCount(read)()).toBeUndefined();
});
