import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAccessEntry, parseBindAddress } from '../../../src/config/values/address.ts';
import { parseAvailability } from '../../../src/config/values/availability.ts';
import { formatCron, parseCron } from '../../../src/config/values/schedule.ts';
import { formatDuration, parseDuration, parseSeconds } from '../../../src/config/values/duration.ts';
import type { Parsed } from '../../../src/config/values/parsed.ts';
import { formatPorts, parsePort } from '../../../src/config/values/ports.ts';
import { formatStatusListen, parseStatusListen } from '../../../src/config/values/ports.ts';
import { parseTimezone } from '../../../src/config/values/schedule.ts';
import { parseHealthcheckUrl, parseHttpUrl } from '../../../src/config/values/web/url.ts';

function valueIn<T>(parsed: Parsed<T>): T | undefined {
  return parsed.ok ? parsed.value : undefined;
}

describe('parseDuration', () => {
  test.each([
    [90, 90_000],
    [0.5, 500],
    [0, 0],
    ['0', 0],
    ['90', 90_000],
    ['90s', 90_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['1d', 86_400_000],
    ['2w1d12h', 1_339_200_000],
    ['0.5w', 302_400_000],
    ['500ms', 500],
    ['1m1ms', 60_001],
    ['0.0001s', 1],
  ])('reads %j', (raw, ms) => {
    expect(valueIn(parseDuration(raw))).toBe(ms);
  });

  test.each([
    '',
    's',
    '1x',
    '1 h',
    '30m1h',
    '1d1w',
    '1D',
    '-1s',
    '1h ',
    '1e3',
    -1,
    Number.NaN,
    Number.POSITIVE_INFINITY,
    1e9,
    true,
    null,
    [],
  ])('refuses %j', (raw) => {
    expect(valueIn(parseDuration(raw))).toBeUndefined();
  });

  test('reads what formatDuration writes', () => {
    fc.assert(
      fc.property(fc.nat({ max: 10 ** 12 }), (ms) => {
        expect(valueIn(parseDuration(formatDuration(ms)))).toBe(ms);
      }),
    );
  });

  test('refuses units where seconds are asked for', () => {
    expect(valueIn(parseSeconds('90s'))).toBeUndefined();
    expect(valueIn(parseSeconds('90'))).toBe(90_000);
  });

  test.each([
    [120_000, '2m'],
    [5_400_000, '1h30m'],
    [500, '500ms'],
    [90_000, '1m30s'],
    [86_400_000, '1d'],
    [129_600_000, '1d12h'],
    [604_800_000, '1w'],
    [0, '0'],
  ])('formats %d ms', (ms, text) => {
    expect(formatDuration(ms)).toBe(text);
  });
});

describe('parsePort', () => {
  test.each([
    ['80:8080', [{ address: '', port: 80, targetPort: 8080 }]],
    ['127.0.0.1:80:81', [{ address: '127.0.0.1', port: 80, targetPort: 81 }]],
    ['[::0001]:80:81', [{ address: '::1', port: 80, targetPort: 81 }]],
    ['[::ffff:127.0.0.1]:80:81', [{ address: '127.0.0.1', port: 80, targetPort: 81 }]],
    ['[fe80::1%eth0]:80:81', [{ address: 'fe80::1%eth0', port: 80, targetPort: 81 }]],
    [
      '9-10:19-20',
      [
        { address: '', port: 9, targetPort: 19 },
        { address: '', port: 10, targetPort: 20 },
      ],
    ],
  ])('reads %s', (raw, listeners) => {
    expect(valueIn(parsePort(raw, 'tcp'))).toEqual(
      listeners.map((listener) => ({ protocol: 'tcp', ...listener })),
    );
  });

  test.each([
    [80, '80 is not [address:]listen:target; write "80:80"'],
    ['80', '"80" is not [address:]listen:target; write "80:80"'],
    ['80:80/udp', '"80:80/udp" is not [address:]listen:target; TCP goes under ports, UDP under udp_ports'],
    [
      '::1:80:80',
      '"::1:80:80" is not [address:]listen:target; an IPv6 address goes in brackets: "[::1]:80:80"',
    ],
    ['localhost:80:80', '"localhost:80:80": "localhost" is not an IP address; write "127.0.0.1:80:80"'],
    ['*:80:80', '"*:80:80": "*" is not an IP address; write "80:80" to listen on all'],
    ['010.0.0.1:80:80', '"010.0.0.1:80:80": "010.0.0.1" is not an IP address (IPv6 goes in brackets)'],
    ['[127.0.0.1]:80:80', '"[127.0.0.1]:80:80": "[127.0.0.1]" is not an IP address (IPv6 goes in brackets)'],
    ['080:80', '"080:80": port 080 has a leading zero'],
    ['65536:80', '"65536:80": port 65536 is outside 1–65535'],
    ['9-8:1-2', '"9-8:1-2": the range 9-8 runs backwards; write 8-9'],
    ['8-9:1', '"8-9:1": 2 listen ports and 1 target ports; both ranges must have the same length'],
    [':80:80', '":80:80": "" is not an IP address; write "80:80" to listen on all'],
    [{ '22': 22 }, 'a mapping is not [address:]listen:target; write "22:22"'],
    [{ target: 80, published: '8080' }, 'a mapping is not [address:]listen:target; write "8080:80"'],
    [
      { target: 53, published: 5353, host_ip: '::1', protocol: 'udp' },
      'a mapping is not [address:]listen:target; write "[::1]:5353:53" under udp_ports',
    ],
    [{ target: 80, mode: 'host' }, 'a mapping is not [address:]listen:target; write "80:80"'],
    [{ a: 1, b: 2 }, 'a mapping is not [address:]listen:target; write it as text, "listen:target"'],
    [null, 'nothing is not [address:]listen:target'],
  ])('refuses %j', (raw, message) => {
    expect(parsePort(raw, 'tcp')).toMatchObject({ ok: false, message });
  });

  test('reads what formatPorts writes, in the same order', () => {
    const port = fc.integer({ min: 1, max: 65_535 });
    const listener = fc.record({
      protocol: fc.constant('tcp' as const),
      address: fc.constantFrom('', '127.0.0.1', '::1'),
      port,
      targetPort: port,
    });
    fc.assert(
      fc.property(fc.array(listener), (listeners) => {
        expect(formatPorts(listeners).flatMap((text) => valueIn(parsePort(text, 'tcp')))).toEqual(listeners);
      }),
    );
  });

  test('writes neighbours as one range', () => {
    const listeners = valueIn(parsePort('[::1]:9000-9009:8000-8009', 'tcp')) ?? [];
    expect(formatPorts(listeners)).toEqual(['[::1]:9000-9009:8000-8009']);
  });
});

describe('parseAccessEntry', () => {
  test.each([
    ['10.0.0.1', '10.0.0.1'],
    ['10.0.0.1/32', '10.0.0.1'],
    ['10.1.2.3/8', '10.0.0.0/8'],
    ['0.0.0.0/0', '0.0.0.0/0'],
    ['::1', '::1'],
    ['::1/128', '::1'],
    ['2001:DB8::1/33', '2001:db8::/33'],
    ['::ffff:10.0.0.1', '10.0.0.1'],
    ['::ffff:0a00:0001', '10.0.0.1'],
    ['::ffff:10.9.0.0/104', '10.0.0.0/8'],
    ['::1.2.3.4', '::102:304'],
    ['::/0', '::/0'],
  ])('reads %s', (raw, canonical) => {
    expect(valueIn(parseAccessEntry(raw))).toBe(canonical);
  });

  test.each([
    '',
    '010.0.0.1',
    '0x7f.1/8',
    '127.1',
    '1',
    '10.0.0.0/33',
    '10.0.0.0/08',
    '::/129',
    '::ffff:010.0.0.1',
    'fe80::1%eth0',
    'localhost',
    '10.0.0.0/',
    '1.2.3.4/8/8',
    7,
    null,
  ])('refuses %j', (raw) => {
    expect(valueIn(parseAccessEntry(raw))).toBeUndefined();
  });

  test('gives a form that it reads back as itself', () => {
    const entry = fc.oneof(
      fc.tuple(fc.ipV4(), fc.nat({ max: 32 })),
      fc.tuple(fc.ipV6(), fc.nat({ max: 128 })),
    );
    fc.assert(
      fc.property(entry, ([address, prefix]) => {
        const once = valueIn(parseAccessEntry(`${address}/${prefix}`));
        expect(once).toBeDefined();
        expect(valueIn(parseAccessEntry(once))).toBe(once);
      }),
    );
  });

  test('keeps a zone only where an address is bound', () => {
    expect(parseBindAddress('fe80::1%eth0')).toBe('fe80::1%eth0');
    expect(parseBindAddress('10.0.0.1%eth0')).toBeUndefined();
  });
});

describe('parseCron', () => {
  test.each([
    ['30 8 * * 1-5', '30 8 * * 1-5'],
    [' 0  9 * jan MON ', '0 9 * jan MON'],
    ['*/5 * * * THU', '*/5 * * * THU'],
    ['@yearly', '0 0 1 1 *'],
    ['@annually', '0 0 1 1 *'],
    ['@monthly', '0 0 1 * *'],
    ['@weekly', '0 0 * * 0'],
    [' @Daily ', '0 0 * * *'],
    ['@midnight', '0 0 * * *'],
    ['@hourly', '0 * * * *'],
    ['@every 1h', '@every 3600s'],
    ['@every  1h30m10s', '@every 5410s'],
    ['@every 90', '@every 90s'],
    ['@every 1.9s', '@every 1s'],
    ['CRON_TZ=Europe/Paris 30  8 * * *', 'CRON_TZ=Europe/Paris 30 8 * * *'],
    ['TZ=Asia/Tokyo  @daily', 'CRON_TZ=Asia/Tokyo 0 0 * * *'],
    ['TZ=Asia/Tokyo @every 1h', '@every 3600s'],
    ['', ''],
    [' ', ''],
  ])('reads %j', (raw, expression) => {
    expect(valueIn(parseCron(raw))).toBe(expression);
  });

  test.each([
    ['@every 3600s', '@every 1h'],
    ['CRON_TZ=Europe/Paris 30 8 * * *', 'CRON_TZ=Europe/Paris 30 8 * * *'],
  ])('writes %j so that it is read back', (expression, written) => {
    expect(formatCron(expression)).toBe(written);
    expect(valueIn(parseCron(written))).toBe(expression);
  });

  test.each([
    '* * * *',
    '* * * * * *',
    '@secondly',
    '@every',
    '@every soon',
    '@every 0s',
    '@every 500ms',
    'TZ=Europe/Paris',
    'TZ=Nowhere 0 0 * * *',
    'CRON_TZ= 0 0 * * *',
    'TZ=UTC TZ=UTC 0 0 * * *',
    'H * * * *',
    '0 H(0-5) * * *',
    '1,H * * * *',
    '60 * * * *',
    '0 0 31 2 *',
    5,
    null,
  ])('refuses %j', (raw) => {
    expect(valueIn(parseCron(raw))).toBeUndefined();
  });
});

describe('parseAvailability', () => {
  test.each([
    ['on_demand', 'on_demand'],
    ['ondemand', 'on_demand'],
    ['schedule', 'schedule'],
    ['cron', 'schedule'],
    ['manual', 'manual'],
  ])('reads %j', (raw, value) => {
    expect(valueIn(parseAvailability(raw))).toBe(value);
  });

  test.each([
    ['on-demand', '; did you mean "on_demand"?'],
    ['OnDemand', '; did you mean "on_demand"?'],
    ['scheduled', '; did you mean "schedule"?'],
    [' Manual', '; did you mean "manual"?'],
    ['always', ''],
    [true, ''],
    [null, ''],
  ])('refuses %j', (raw, hint) => {
    const shown = raw === null ? 'nothing' : JSON.stringify(raw);
    expect(parseAvailability(raw)).toMatchObject({
      ok: false,
      message: `${shown} is not on_demand, schedule or manual${hint}`,
    });
  });
});

describe('parseTimezone', () => {
  test.each(['UTC', 'Europe/Paris', 'Etc/GMT+5'])('reads %s', (zone) => {
    expect(valueIn(parseTimezone(zone))).toBe(zone);
  });

  test.each(['', 'Mars/Phobos', '+01:00', 'local', 'CET-1CEST,M3.5.0', 1])('refuses %j', (zone) => {
    expect(valueIn(parseTimezone(zone))).toBeUndefined();
  });
});

describe('parseHttpUrl', () => {
  test.each(['', 'http://a', 'HTTPS://a:1/b?c', 'http://a%20b:%C3%A9@c/%zz'])('reads %j', (url) => {
    expect(valueIn(parseHttpUrl(url))).toBe(url);
  });

  test.each(['ftp://a', 'a', 'http://', 'http://a b', 'http://{{container}}/', 'http://a%zz:b@c/', 1])(
    'refuses %j',
    (url) => {
      expect(valueIn(parseHttpUrl(url))).toBeUndefined();
    },
  );

  test('takes the placeholder in a health check alone, and no other', () => {
    expect(valueIn(parseHealthcheckUrl('http://{{container}}:80/'))).toBe('http://{{container}}:80/');
    expect(valueIn(parseHealthcheckUrl('http://{{host}}:80/'))).toBeUndefined();
  });
});

describe('parseStatusListen', () => {
  test.each([
    [8080, { address: '', port: 8080 }, '8080'],
    ['0.0.0.0:8080', { address: '0.0.0.0', port: 8080 }, '0.0.0.0:8080'],
    [':8080', { address: '', port: 8080 }, '8080'],
    ['[::1]:80', { address: '::1', port: 80 }, '[::1]:80'],
  ])('reads %j', (raw, value, text) => {
    expect(valueIn(parseStatusListen(raw))).toEqual(value);
    expect(formatStatusListen(value)).toBe(text);
  });

  test.each([0, 65_536, '', 'a:80', '::1:80', null])('refuses %j', (raw) => {
    expect(valueIn(parseStatusListen(raw))).toBeUndefined();
  });
});
