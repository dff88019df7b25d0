import { describe, expect, test } from 'vitest';
import { createFileParser } from '../../src/config/file.ts';
import { parseLabels } from '../../src/config/labels.ts';
import { createCaretRenderer } from '../../src/config/yaml/render-caret.ts';
import { formatProblem } from '../../src/model/problem.ts';
import { showUrl, showUrls } from '../../src/model/text/show-url.ts';
import { PREFIX } from '../support/builders.ts';

/** URLs as they are mistyped, and what may be shown of each; `T0KEN` stands for what is secret. */
const MISTYPED = [
  ['htps://hooks.example.com/services/T0KEN', '"htps://hooks.example.com/…"'],
  ['htps://hooks.example.com:8443/T0KEN?x=T0KEN#T0KEN', '"htps://hooks.example.com:8443/…"'],
  ['htps://user:T0KEN@hooks.example.com/T0KEN', '"htps://hooks.example.com/…"'],
  ['htps://T0KEN@hooks.example.com', '"htps://hooks.example.com"'],
  ['https://user:T0/KEN@hooks.example.com/T0KEN', undefined],
  ['https://user:T0KEN/x@hooks.example.com', '"https://…"'],
  ['https://T0KEN/x@hooks.example.com', undefined],
  ['https://hooks.example.com/{{T0KEN}}', '"https://hooks.example.com/…"'],
  ['https://[fd00::1]:x/T0KEN', '"https://…"'],
  ['https://hooks.example.com/T0KEN with a space', '"https://hooks.example.com/…"'],
  ['hooks.example.com/T0KEN', undefined],
  ['T0KEN', undefined],
  ['https:/hooks.example.com/T0KEN', undefined],
  ['https//hooks.example.com/T0KEN', undefined],
  ['1https://hooks.example.com/T0KEN', undefined],
  [' https://hooks.example.com/T0KEN', '"https://hooks.example.com/…"'],
] as const;

const parseFile = createFileParser();

function problemsOfFile(text: string): readonly string[] {
  return parseFile({ text, file: 'f.yaml', folder: '/' }).problems.map(formatProblem);
}

describe('a mistyped URL', () => {
  const wrongIn = (field: string) =>
    MISTYPED.filter(([url]) => {
      const { problems } = parseFile({
        text: JSON.stringify({ services: { db: { [field]: url } } }),
        ...{ file: 'f.yaml', folder: '/' },
      });
      return problems.length > 0;
    });

  test.each(['webhook_url', 'http_healthcheck'])(
    'of %s shows scheme and host in the file, no more',
    (field) => {
      const wrong = wrongIn(field);
      expect(wrong.length).toBeGreaterThan(10);
      for (const [url, shown] of wrong) {
        const [told = '', ...more] = problemsOfFile(JSON.stringify({ services: { db: { [field]: url } } }));
        expect(more).toEqual([]);
        expect(told).not.toMatch(/T0/);
        if (shown !== undefined) expect(told).toContain(shown);
      }
    },
  );

  test.each(['webhook-url', 'http-healthcheck'])(
    'of the label %s shows scheme and host, no more',
    (label) => {
      for (const [url, shown] of wrongIn(label.replace('-', '_'))) {
        const labels = { [`${PREFIX}.enabled`]: 'true', [`${PREFIX}.${label}`]: url.trim() };
        const workload = { ref: { kind: 'docker', name: 'db' }, labels, createdMs: 0 } as const;
        const { problems } = parseLabels(workload as never, { prefixes: [PREFIX] });
        for (const problem of problems) {
          expect(formatProblem(problem)).not.toMatch(/T0/);
          if (shown !== undefined) expect(formatProblem(problem)).toContain(shown);
        }
      }
    },
  );

  test.each(MISTYPED)('%s shows no secret where its line is shown', (url) => {
    for (const line of [`webhook_url: ${url}`, `a: {http_healthcheck: "${url}", b: 1}`]) {
      const shown = createCaretRenderer(line)({ line: 1, column: 3 }) ?? '';
      expect(shown.replaceAll(/[^T0KEN]/g, '')).not.toMatch(/T0|KEN/);
      expect(shown.split('\n')[1]).toBe('    ^');
    }
  });
});

test.each([
  'basic_auth: user:T0KEN',
  'basic_auth: "user:T0 KEN" # a',
  "api_key:   'T0KEN'",
  '{name: a, "api_key": T0KEN, basic_auth: "T0KEN}" }',
])('the secrets of lazy-tcp-proxy in %s are not shown', (line) => {
  const shown = createCaretRenderer(line)({ line: 1, column: 3 }) ?? '';
  expect(shown.replaceAll(/[^T0KEN]/g, '')).toBe('');
  expect(shown.split('\n')[0]).toHaveLength(line.length + 2);
});

test('a long text that is nearly a URL takes no long time', () => {
  const url = `${'a'.repeat(2_000_000)}:/`;
  const begunMs = performance.now();
  expect(showUrls(url)).toHaveLength(url.length);
  expect(showUrl(url)).toBe('…');
  expect(performance.now() - begunMs).toBeLessThan(1_000);
});

test('a URL in a wrong place shows scheme and host, no more', () => {
  const url = 'https://hooks.example.com/T0KEN?T0KEN';
  const text = JSON.stringify({
    docker: { socket: `ssh://user:T0KEN@host/${url}`, label_urls: [url] },
    backend: url,
    services: { db: { ports: [url], allow_list: [url], cron_start: url, timezone: url, dependants: [url] } },
  });
  const problems = problemsOfFile(text);
  expect(problems.length).toBeGreaterThanOrEqual(8);
  for (const problem of problems) expect(problem).not.toContain('T0KEN');
  const lines = `services:\n  db:\n    webhok_url: ${url}\n    # ${url}`;
  const render = createCaretRenderer(lines);
  expect(render({ line: 3, column: 5 })).toBe(
    `      webhok_url: https://hooks.example.com/${'*'.repeat(11)}\n      ^`,
  );
  expect(render({ line: 4, column: 5 })).not.toContain('T0KEN');
});
