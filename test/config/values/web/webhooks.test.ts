import { describe, expect, test } from 'vitest';
import { createFileParser } from '../../../../src/config/file.ts';
import { parseProxyWebhooks, parseServiceWebhooks } from '../../../../src/config/values/web/webhooks.ts';
import { formatProblem } from '../../../../src/model/problem.ts';
import { serviceOf, tableOf } from '../../../support/builders.ts';

const parseFile = createFileParser();
const problemsOf = (webhooks: string) =>
  parseFile({ text: `webhooks:\n  - ${webhooks}\nservices: {}\n`, file: 'f.yaml' }).problems.map(
    formatProblem,
  );

describe('webhooks', () => {
  test('need a URL alone, and then get all but single connections and flows', () => {
    const [hook] = (parseProxyWebhooks([{ url: 'https://a/' }]) as { readonly value: readonly object[] })
      .value;
    expect(hook).toEqual({
      url: 'https://a/',
      events: [
        'container_started',
        'container_stopped',
        'wake_failed',
        'listener_lost',
        'reload_refused',
        'engine_lost',
        'engine_back',
      ],
      headers: {},
      format: 'json',
    });
    expect(parseServiceWebhooks([{ url: 'https://a/' }])).toMatchObject({
      value: [{ events: ['container_started', 'container_stopped', 'wake_failed', 'listener_lost'] }],
    });
  });

  test('keep what they say', () => {
    const hook = {
      url: 'http://a/b',
      events: ['tcp_conn_end', 'wake_failed', 'tcp_conn_end'],
      headers: { Authorization: ' Bearer x', 'X-Number': 3 },
      secret: 's3cret',
      format: 'gotify',
    };
    expect(parseServiceWebhooks([hook])).toEqual({
      ok: true,
      value: [
        {
          ...hook,
          events: ['tcp_conn_end', 'wake_failed'],
          headers: { Authorization: 'Bearer x', 'X-Number': '3' },
        },
      ],
    });
    expect(parseServiceWebhooks([{ url: 'http://a', secret: '', events: [] }])).toEqual({
      ok: true,
      value: [{ url: 'http://a', events: [], headers: {}, format: 'json' }],
    });
  });

  test.each([
    ['{ events: [wake_failed] }', '2:5 error webhooks[0].url: is missing'],
    ['{ url: "" }', '2:12 error webhooks[0].url: "" is not an http:// or https:// URL'],
    ['{ url: 5 }', '2:12 error webhooks[0].url: 5 is not an http:// or https:// URL'],
    ['{ url: http://a, uri: b }', '2:22 error webhooks[0].uri: unknown key; did you mean "url"?'],
    [
      '{ url: http://a, port: 5 }',
      '2:22 error webhooks[0].port: unknown key; known are url, events, headers, secret, format',
    ],
    [
      '{ url: http://a, events: [wake_fialed] }',
      '2:31 error webhooks[0].events[0]: "wake_fialed" is no event; did you mean "wake_failed"?',
    ],
    ['{ url: http://a, events: wake_failed }', '2:30 error webhooks[0].events: the value is not a list'],
    [
      '{ url: http://a, format: telegram }',
      '2:30 error webhooks[0].format: "telegram" is not json or ntfy or gotify or discord or slack',
    ],
    [
      '{ url: http://a, headers: { "a b": T0KEN } }',
      '2:40 error webhooks[0].headers.a b: a header has a name of letters, digits and signs such as -',
    ],
    [
      '{ url: http://a, headers: { a: "T0KEN\\n" } }',
      '2:36 error webhooks[0].headers.a: the value holds a line break or another character that no header can',
    ],
    [
      '{ url: http://a, headers: { Host: T0KEN } }',
      '2:39 error webhooks[0].headers.Host: the proxy sets this header itself',
    ],
    ['{ url: http://a, headers: { a: [T0KEN] } }', '2:36 error webhooks[0].headers.a: a list is not text'],
    ['{ url: http://a, headers: T0KEN }', '2:31 error webhooks[0].headers: the value is not a mapping'],
    [
      '{ url: http://a, secret: 5 }',
      '2:30 error webhooks[0].secret: a number is not text; write it in quotes',
    ],
    ['{ url: "***" }', '2:12 error webhooks[0].url: *** stands for a hidden value; write the value itself'],
    [
      '{ url: http://a, headers: { A: "***" } }',
      '2:36 error webhooks[0].headers.A: *** stands for a hidden value; write the value itself',
    ],
    [
      '{ url: http://a, secret: "***" }',
      '2:30 error webhooks[0].secret: *** stands for a hidden value; write the value itself',
    ],
    [
      'https://hooks.example.com/T0KEN',
      '2:5 error webhooks[0]: the value is not a mapping; write "url: " before it',
    ],
  ])('%s is refused', (hook, problem) => {
    expect(problemsOf(hook)).toEqual([`f.yaml:${problem}`]);
  });

  test('of a service get no event of the whole proxy', () => {
    const text = 'services:\n  db:\n    webhooks: [{ url: http://a, events: [engine_lost] }]\n';
    expect(parseFile({ text, file: 'f.yaml' }).problems.map(formatProblem)).toEqual([
      'f.yaml:3:42 error webhooks[0].events[0]: engine_lost is an event of the whole proxy; write it in webhooks at the top of the file',
    ]);
  });

  test('of a service come from the file, and never from a label', () => {
    const table = tableOf({ text: 'services: { db: { webhooks: [{ url: http://a }] } }' });
    expect(serviceOf(table, 'db').webhooks).toHaveLength(1);
  });
});
