import type Docker from 'dockerode';
import { SCOPE_LABEL, type Scope } from './engine.ts';

/** What the engine told of one container. */
export interface EngineEvent {
  /** `create`, `start`, `die`, `pause` … */
  readonly action: string;
  readonly id: string;
  /** The name that the container had then. */
  readonly name: string;
  /** Milliseconds since the epoch, by the engine. */
  readonly at: number;
}

/** The events of one scope's containers, from its beginning. */
export interface EngineEvents {
  /** All so far of `action`, of the container of that name. */
  of(name: string, action: string): readonly EngineEvent[];
  /** The `nth` one (default the first), already there or still to come; after `timeoutMs` (default 30 s) an error. */
  waitFor(
    name: string,
    action: string,
    options?: { readonly nth?: number; readonly timeoutMs?: number },
  ): Promise<EngineEvent>;
  /** That there are `count` of them: waits for the last one, and throws where there are more by then. */
  exactly(name: string, action: string, count: number): Promise<void>;
  close(): void;
}

/** Follows what happens to a scope's containers; the caller closes it. */
export async function watchEngineEvents({ docker, prefix }: Scope): Promise<EngineEvents> {
  const events: EngineEvent[] = [];
  const looks = new Set<() => void>();
  const stream = await subscribe(docker, prefix);
  readLines(stream, (line) => {
    events.push(parseEvent(line));
    for (const look of [...looks]) look();
  });
  const of = (name: string, action: string) =>
    events.filter((event) => event.name === name && event.action === action);
  const waitFor: EngineEvents['waitFor'] = (name, action, { nth = 1, timeoutMs = 30_000 } = {}) =>
    new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        looks.delete(look);
        clearTimeout(timer);
        finish();
      };
      const look = () => {
        const found = of(name, action)[nth - 1];
        if (found !== undefined) settle(() => resolve(found));
      };
      const fail = () => {
        const seen = events.map((event) => `${event.name} ${event.action}`).join(', ');
        const what = `"${action}" number ${nth} of ${name}`;
        settle(() => reject(new Error(`the engine did not tell ${what} within ${timeoutMs} ms: ${seen}`)));
      };
      const timer = setTimeout(fail, timeoutMs);
      looks.add(look);
      look();
    });
  return {
    of,
    waitFor,
    async exactly(name, action, count) {
      await waitFor(name, action, { nth: count });
      const { length } = of(name, action);
      if (length !== count) throw new Error(`${name}: "${action}" ${length} times, not ${count}`);
    },
    close: () => stream.destroy(),
  };
}

type EventStream = NodeJS.ReadableStream & { destroy(): void };

async function subscribe(docker: Docker, prefix: string): Promise<EventStream> {
  // Engines confirm a subscription a moment before it is in force: what is told from the past closes that gap.
  const since = Math.floor(Date.now() / 1000) - 2;
  const filters = JSON.stringify({ type: ['container'], label: [`${SCOPE_LABEL}=${prefix}`] });
  const stream = (await docker.getEvents({ since, filters })) as EventStream;
  // An engine that is killed breaks it off.
  stream.on('error', () => {});
  return stream;
}

function readLines(stream: EventStream, tell: (line: string) => void): void {
  let partial = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (partial + text).split('\n');
    partial = lines.pop() ?? '';
    for (const line of lines) tell(line);
  });
}

function parseEvent(line: string): EngineEvent {
  const { Action, Actor, timeNano } = JSON.parse(line) as {
    readonly Action: string;
    readonly Actor: { readonly ID: string; readonly Attributes: { readonly name: string } };
    readonly timeNano: number;
  };
  return { action: Action, id: Actor.ID, name: Actor.Attributes.name, at: timeNano / 1e6 };
}
