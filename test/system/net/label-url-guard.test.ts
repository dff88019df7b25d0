import { describe, expect, test } from 'vitest';
import { LabelUrlGuard } from '../../../src/system/net/label-url-guard.ts';

const OWN = ['127.0.0.1', '192.168.0.5', '::ffff:192.168.0.5', 'fd00::5', 'fe80::1'];

function aGuard(engines: readonly { readonly host: string; readonly port: number }[] = []): LabelUrlGuard {
  return new LabelUrlGuard({ engines, statusPort: 8080, isOwn: (address) => OWN.includes(address) });
}

async function ask(guard: LabelUrlGuard, target: { address: string; port?: number; host?: string }) {
  const { address, port = 80, host = 'receiver.example' } = target;
  return (await guard.check({ address, port, host })) ?? 'free';
}

describe('LabelUrlGuard', () => {
  test.each([
    ['127.0.0.1', 'loopback'],
    ['127.255.1.2', 'loopback'],
    ['::1', 'loopback'],
    ['::ffff:127.0.0.1', 'loopback'],
    ['::ffff:7f00:1', 'loopback'],
    ['::7f00:1', 'loopback'],
    ['64:ff9b::7f00:1', 'loopback'],
    ['169.254.169.254', 'link-local'],
    ['::ffff:a9fe:a9fe', 'link-local'],
    ['fe80::1', 'link-local'],
    ['fe80::1%eth0', 'link-local'],
    ['0.0.0.0', 'unspecified'],
    ['0.1.2.3', 'unspecified'],
    ['::', 'unspecified'],
    ['::ffff:0.0.0.0', 'unspecified'],
  ])('refuses %s, which is %s', async (address, name) => {
    expect(await ask(aGuard(), { address })).toMatch(
      new RegExp(`^the URL of a label may not lead to .* \\(${name}\\), unless docker.label_urls allows it$`),
    );
  });

  test.each(['172.18.0.3', '10.0.0.1', '8.8.8.8', 'fd00::9', '2001:db8::1', '192.168.0.5', '::ffff:8.8.8.8'])(
    'lets %s through',
    async (address) => {
      expect(await ask(aGuard(), { address })).toBe('free');
    },
  );

  test('refuses the status server at each address of this machine, and lets its port elsewhere through', async () => {
    const guard = aGuard();
    expect(await ask(guard, { address: '192.168.0.5', port: 8080 })).toContain('the status server');
    expect(await ask(guard, { address: '::ffff:192.168.0.5', port: 8080 })).toContain('the status server');
    expect(await ask(guard, { address: 'fd00::5', port: 8080 })).toContain('the status server');
    expect(await ask(guard, { address: '192.168.0.6', port: 8080 })).toBe('free');
  });

  test('refuses the engine, by each address of its machine where that is this one', async () => {
    const guard = aGuard([
      { host: '127.0.0.1', port: 4243 },
      { host: '10.9.9.9', port: 4444 },
    ]);
    expect(await ask(guard, { address: '192.168.0.5', port: 4243 })).toContain('(the engine)');
    expect(await ask(guard, { address: '10.9.9.9', port: 4444 })).toContain('(the engine)');
    expect(await ask(guard, { address: '10.9.9.9', port: 80 })).toBe('free');
    expect(await ask(guard, { address: '192.168.0.5', port: 4444 })).toBe('free');
    expect(await ask(guard, { address: '10.9.9.8', port: 2375 })).toContain("(port 2375, an engine's)");
  });

  test('allows hosts, addresses and ranges, until they are taken back', async () => {
    const guard = aGuard();
    guard.allow(['hooks.lan', '127.0.0.0/30', '::1', '169.254.1.1']);
    expect(await ask(guard, { address: '127.0.0.1', host: 'hooks.lan' })).toBe('free');
    expect(await ask(guard, { address: '127.0.0.9', host: 'hooks.lan.' })).toBe('free');
    expect(await ask(guard, { address: '127.0.0.9', host: 'other.lan' })).toContain('loopback');
    expect(await ask(guard, { address: '127.0.0.3' })).toBe('free');
    expect(await ask(guard, { address: '::ffff:127.0.0.3' })).toBe('free');
    expect(await ask(guard, { address: '::1', port: 8080 })).toBe('free');
    expect(await ask(guard, { address: '169.254.1.1' })).toBe('free');
    expect(await ask(guard, { address: '169.254.1.2' })).toContain('link-local');
    guard.allow([]);
    expect(await ask(guard, { address: '127.0.0.1', host: 'hooks.lan' })).toContain('loopback');
  });

  test.each([
    ['http://127.0.0.1/x', 'loopback'],
    ['http://0x7f.1:80/', 'loopback'],
    ['http://[::ffff:127.0.0.1]/', 'loopback'],
    ['http://localhost/', 'loopback'],
    ['http://a.LOCALHOST./', 'loopback'],
    ['https://169.254.169.254/latest', 'link-local'],
    ['http://127.0.0.1/{{container}}', 'loopback'],
    ['http://10.0.0.1:2375/', "port 2375, an engine's"],
    ['http://192.168.0.5:8080/', 'the status server'],
    ['http://10.9.9.9:4444/', 'the engine'],
  ])('tells of %s that it leads to what is %s, without asking anybody', (url, place) => {
    expect(aGuard([{ host: '10.9.9.9', port: 4444 }]).explainUrl(url)).toContain(`(${place})`);
  });

  test.each([
    'http://{{container}}:8080/',
    'http://hooks.example.com/',
    'http://10.0.0.1/',
    'http://notlocalhost/',
  ])('says nothing of %s', (url) => {
    expect(aGuard().explainUrl(url)).toBeUndefined();
  });

  test('says nothing of localhost where one of its addresses is allowed', () => {
    const guard = aGuard();
    guard.allow(['127.0.0.1']);
    expect(guard.explainUrl('http://localhost/')).toBeUndefined();
  });
});
