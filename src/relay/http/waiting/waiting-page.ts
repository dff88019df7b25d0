/** The page that a browser sees while a service wakes, or when it has not woken. Pure; whatever it is given is escaped. */
import type { WakeView } from '../web-binding.ts';

export interface PageFacts {
  readonly service: string;
  readonly view: WakeView;
  /** The path and query that were asked for, of the same host. */
  readonly url: string;
  /** A page of the user's own, with the placeholders of `fillPage`. */
  readonly theme?: string | undefined;
}

/** Where a page without JavaScript asks again: that wakes nothing. */
export const WAIT_PATH = '/.lazy-proxy/wait';
/** Where a page with JavaScript asks how far the wake is. */
export const STATE_PATH = '/.lazy-proxy/state';

const REFRESH_SECONDS = 3;

const PHASES = {
  stop: 'it is just being stopped, and starts again after that',
  room: 'waits until others sleep',
  queue: 'waits for its turn to start',
  dependencies: 'waits for what it depends on',
  engine: 'is being started',
  health: 'has started, waiting for its health check',
  port: 'has started, waiting for its port to answer',
} as const;

/** What is said of a service, in words. */
function describeView({ state, phase, elapsedMs = 0, expectedMs }: WakeView) {
  const isWaking = state === 'waking' || state === 'ready';
  const elapsed = Math.round(elapsedMs / 1_000);
  const expected = expectedMs === undefined ? undefined : Math.max(1, Math.round(expectedMs / 1_000));
  const time = expected === undefined ? `${elapsed} s` : `${elapsed} of about ${expected} s`;
  const part = expectedMs === undefined ? elapsedMs / (elapsedMs + 8_000) : elapsedMs / expectedMs;
  return {
    isWaking,
    phase: state === 'ready' ? 'is ready' : isWaking ? PHASES[phase ?? 'engine'] : '',
    time: isWaking ? time : '',
    percent: state === 'ready' ? 100 : isWaking ? Math.round(Math.min(0.96, part) * 100) : 0,
  };
}

/** What the page asks for while it is open. */
export function describeState(service: string, view: WakeView): string {
  const { phase, time, percent } = describeView(view);
  return JSON.stringify({
    ...{ service, state: view.state, phase, time, percent },
    reason: view.reason ?? '',
  });
}

/** The page, as HTML. */
export function renderPage({ service, view, url: target, theme }: PageFacts): string {
  const url = ofThisHost(target);
  const { isWaking, phase, time, percent } = describeView(view);
  const title = isWaking
    ? `${service} is waking up`
    : `${service} ${view.state === 'failed' ? 'did not wake up' : 'is asleep'}`;
  const message = isWaking
    ? 'It was asleep. This page opens it as soon as it is ready.'
    : view.state === 'failed'
      ? 'Its last start has failed. It is tried again when you ask for it.'
      : 'It starts when you ask for it.';
  const again = `${WAIT_PATH}?to=${encodeURIComponent(url)}`;
  const refresh = `<noscript><meta http-equiv="refresh" content="${REFRESH_SECONDS};url=${escapeHtml(again)}"></noscript>`;
  const values: Readonly<Record<string, string>> = {
    ...{ service: escapeHtml(service), state: view.state, title: escapeHtml(title), url: escapeHtml(url) },
    ...{ message, phase, time, percent: String(percent), reason: escapeHtml(view.reason ?? '') },
    ...{ refresh: isWaking ? refresh : '', script: `<script>${SCRIPT}</script>`, style: STYLE },
  };
  return fillPage(theme ?? PAGE, values);
}

/** Puts values in place of `{{name}}`; a name that is not known stays as it is. */
function fillPage(page: string, values: Readonly<Record<string, string>>): string {
  const find = (name: string) => (Object.hasOwn(values, name) ? values[name] : undefined);
  return page.replace(/\{\{\s*([a-z]+)\s*\}\}/g, (found, name: string) => find(name) ?? found);
}

/** The same path, in a form that no browser takes for the name of another host, as it does with `//other.host/` and `/\other.host/`. */
function ofThisHost(target: string): string {
  return /^\/[/\\]/.test(target) ? `/.${target}` : target;
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** Of the page itself; what a policy for its content has to allow. */
export const STYLE = [
  ':root{color-scheme:light dark;--back:#f6f7f9;--ink:#1b1f24;--soft:#5b6570;--track:#e3e7ec;--bar:#3157d5;--bad:#b3261e}',
  '@media(prefers-color-scheme:dark){:root{--back:#101418;--ink:#e7ecf1;--soft:#97a3af;--track:#28303a;--bar:#8fa8ff;--bad:#ff8a80}}',
  'body{margin:0;min-height:100vh;display:grid;place-items:center;background:var(--back);color:var(--ink);font:17px/1.5 system-ui,sans-serif}',
  'main{width:min(420px,86vw);overflow-wrap:anywhere}h1{font-size:24px;line-height:1.25;margin:0 0 6px}p{margin:0;color:var(--soft)}',
  'progress{appearance:none;display:block;width:100%;height:8px;margin:22px 0 10px;border:0;border-radius:4px;overflow:hidden;background:var(--track)}',
  'progress::-webkit-progress-bar{background:var(--track)}progress::-webkit-progress-value{background:var(--bar);transition:width .4s}',
  'progress::-moz-progress-bar{background:var(--bar)}.row{display:flex;justify-content:space-between;gap:16px;font-size:14px;font-variant-numeric:tabular-nums}',
  '#reason{color:var(--bad);margin-top:14px}#reason:empty{display:none}#again{display:inline-block;margin-top:20px;padding:8px 18px;border-radius:6px;background:var(--bar);color:var(--back);text-decoration:none}',
  'footer{margin-top:34px;font-size:13px;color:var(--soft)}body:not([data-state=waking]):not([data-state=ready]) .live{display:none}',
  'body[data-state=waking] #again,body[data-state=ready] #again{display:none}@media(prefers-reduced-motion:reduce){progress::-webkit-progress-value{transition:none}}',
].join('');

/** Asks for the state once a second, shows it, and opens what was asked for when the service is ready. */
export const SCRIPT = [
  '(function(){var d=document,b=d.body,url=b.dataset.url,name=b.dataset.service;',
  'function set(id,text){var e=d.getElementById(id);if(e&&e.textContent!==text)e.textContent=text}',
  'function show(s){b.dataset.state=s.state;var p=d.querySelector("progress");if(p)p.value=s.percent;',
  'set("phase",s.phase);set("time",s.time);set("reason",s.state==="failed"?s.reason:"");',
  'if(s.state==="failed"){d.title=name+" did not wake up";set("title",d.title);set("message","Its last start has failed. It is tried again when you ask for it.")}',
  'if(s.state==="asleep"){d.title=name+" is asleep";set("title",d.title);set("message","It starts when you ask for it.")}}',
  `function ask(){fetch("${STATE_PATH}",{cache:"no-store",credentials:"same-origin"}).then(function(r){return r.json()}).then(function(s){`,
  'show(s);if(s.state==="ready")location.replace(url);else if(s.state==="waking")setTimeout(ask,1000)},function(){setTimeout(ask,2000)})}',
  'if(b.dataset.state==="waking")setTimeout(ask,500)})()',
].join('');

const PAGE = [
  '<!doctype html>',
  '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1">',
  '<meta name="robots" content="noindex">{{refresh}}<title>{{title}}</title><style>{{style}}</style></head>',
  '<body data-state="{{state}}" data-service="{{service}}" data-url="{{url}}"><main>',
  '<h1 id="title">{{title}}</h1><p id="message">{{message}}</p>',
  '<div class="live"><progress max="100" value="{{percent}}" aria-label="How far it is"></progress>',
  '<p class="row"><span id="phase" aria-live="polite">{{phase}}</span><span id="time">{{time}}</span></p></div>',
  '<p id="reason" role="alert">{{reason}}</p><a id="again" href="{{url}}">Try again</a>',
  '<footer>lazy-proxy</footer></main>{{script}}</body></html>',
  '',
].join('\n');
