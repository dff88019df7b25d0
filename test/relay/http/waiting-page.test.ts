import { describe, expect, test } from 'vitest';
import { describeState, renderPage } from '../../../src/relay/http/waiting/waiting-page.ts';

const EVIL = `</script><script>alert(1)</script>"'&`;

describe('renderPage', () => {
  test('escapes everything that it is given', () => {
    const page = renderPage({ service: EVIL, url: `/${EVIL}`, view: { state: 'failed', reason: EVIL } });
    expect(page).not.toContain('alert(1)</script>');
    expect(page.match(/<script>/g)).toHaveLength(1);
    expect(page).toContain('&#60;/script&#62;');
  });

  test.each([
    ['waking', true],
    ['failed', false],
    ['asleep', false],
  ] as const)('of a service that is %s reloads itself: %j', (state, reloads) => {
    const page = renderPage({ service: 'wiki', url: '/a?b', view: { state } });
    expect(page.includes('http-equiv="refresh"')).toBe(reloads);
    expect(page.includes('url=/.lazy-proxy/wait?to=%2Fa%3Fb')).toBe(reloads);
  });

  test('asks nobody else for anything, and is small', () => {
    const page = renderPage({ service: 'wiki', url: '/', view: { state: 'waking', phase: 'health' } });
    expect(page).not.toMatch(/https?:|src=|@import|url\(/);
    expect(page).toContain('has started, waiting for its health check');
    expect(Buffer.byteLength(page)).toBeLessThan(10_240);
  });

  test.each(['//evil.example/', '/\\evil.example/'])(
    'leads to no other host where %s was asked for',
    (url) => {
      const page = renderPage({ service: 'wiki', url, view: { state: 'waking' } });
      for (const [, shown = ''] of page.matchAll(/(?:href|data-url)="([^"]*)"/g))
        expect(new URL(shown, 'http://wiki.test/a').href).toBe('http://wiki.test//evil.example/');
    },
  );

  test('fills a page of the user’s own', () => {
    const theme =
      '<h1>{{service}}</h1>{{ time }}{{unknown}}{{constructor}}<a href="{{url}}">{{reason}}</a>{{refresh}}';
    const view = { state: 'waking', elapsedMs: 5_000, expectedMs: 8_000 } as const;
    expect(renderPage({ service: 'a<b', url: '/x', view, theme })).toMatch(
      /^<h1>a&#60;b<\/h1>5 of about 8 s\{\{unknown\}\}\{\{constructor\}\}<a href="\/x"><\/a><noscript>/,
    );
  });
});

describe('describeState', () => {
  test('never says that it is done before it is ready', () => {
    const view = { state: 'waking', elapsedMs: 90_000, expectedMs: 8_000 } as const;
    expect(JSON.parse(describeState('wiki', view))).toEqual({
      ...{ service: 'wiki', state: 'waking', phase: 'is being started', reason: '' },
      ...{ time: '90 of about 8 s', percent: 96 },
    });
    expect(JSON.parse(describeState('wiki', { state: 'ready' })).percent).toBe(100);
  });
});
