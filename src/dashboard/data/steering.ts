/** What somebody does to a service: asked of the API, with the token where it wants one, and again where it has to be confirmed. */
import { type ApiError, askJson, servicePath, token } from './client.ts';
import { schedule } from '../clock.ts';
import type { LiveData } from './live-data.ts';

export type Action = 'wake' | 'sleep' | 'hold' | 'release';

export interface Job {
  readonly name: string;
  readonly action: Action;
  /** Of a hold: `2h`. */
  readonly time?: string;
  /** Of a sleep: clients are cut. */
  readonly isForced?: boolean;
}

/** What has to be said first. */
export type Question =
  | { readonly kind: 'token'; readonly job: Job | undefined; readonly problem: string | undefined }
  | { readonly kind: 'hold'; readonly name: string }
  /** `clients`: how many use it. */
  | { readonly kind: 'cut'; readonly job: Job; readonly clients: number };

export interface Notice {
  readonly isProblem: boolean;
  readonly text: string;
}

export interface Steering {
  readonly question: Question | undefined;
  readonly notice: Notice | undefined;
  /** Services that the proxy is just asked about. */
  readonly busy: ReadonlySet<string>;
}

/** How long it is shown that something worked; what did not is shown until it is read. */
const NOTICE_MS = 6_000;

const DONE: Readonly<Record<Action, string>> = {
  wake: 'is being woken',
  sleep: 'goes to sleep',
  hold: 'is held awake',
  release: 'is no longer held',
};

/** `subscribe()`; it lives as long as the page. */
export class Steerer {
  #state: Steering = { question: undefined, notice: undefined, busy: new Set() };
  readonly #data: LiveData;
  readonly #subscribers = new Set<() => void>();
  #cancelNotice: () => void = () => {};

  constructor(data: LiveData) {
    this.#data = data;
  }

  get state(): Steering {
    return this.#state;
  }

  subscribe(callback: () => void): () => void {
    this.#subscribers.add(callback);
    return () => this.#subscribers.delete(callback);
  }

  ask(question: Question | undefined): void {
    this.#change({ question });
  }

  dismissNotice(): void {
    this.#change({ notice: undefined });
  }

  forgetToken(): void {
    token.keep(undefined);
    this.#tell({ isProblem: false, text: 'The token is forgotten.' });
    this.#data.refresh();
  }

  /** @param shown a token that is not known to be right. */
  async run(job: Job, shown?: string): Promise<void> {
    const { name, action, time, isForced = false } = job;
    const query = `${time === undefined ? '' : `&for=${time}`}${isForced ? '&force=true' : ''}`;
    this.#change({ busy: new Set([...this.#state.busy, name]), notice: undefined });
    try {
      await askJson(servicePath(name, action) + query, { method: 'POST', ...withToken(shown) });
      if (shown !== undefined) token.keep(shown);
      this.#change({ question: undefined });
      this.#tell({ isProblem: false, text: `${name} ${DONE[action]}.` });
    } catch (error) {
      this.#takeRefusal(job, { error: error as ApiError, shown });
    } finally {
      this.#change({ busy: new Set([...this.#state.busy].filter((other) => other !== name)) });
      this.#data.refresh();
    }
  }

  /** Takes the token for reading, if it is the right one. */
  async unlock(shown: string): Promise<void> {
    try {
      await askJson('api', withToken(shown));
      token.keep(shown);
      this.#change({ question: undefined });
      this.#data.refresh();
    } catch (error) {
      this.#change({ question: { kind: 'token', job: undefined, problem: (error as ApiError).message } });
    }
  }

  #takeRefusal(
    job: Job,
    { error, shown }: { readonly error: ApiError; readonly shown: string | undefined },
  ): void {
    const leases = error.members['leases'] as readonly { kind: string }[] | undefined;
    const clients = leases?.filter(({ kind }) => kind === 'connection' || kind === 'flow').length ?? 0;
    if (error.status === 401) {
      const problem = shown === undefined && token.read() === undefined ? undefined : error.message;
      if (shown === undefined) token.keep(undefined);
      this.#change({ question: { kind: 'token', job, problem } });
    } else if (job.action === 'sleep' && job.isForced !== true && error.status === 409 && clients > 0) {
      if (shown !== undefined) token.keep(shown);
      this.#change({ question: { kind: 'cut', job: { ...job, isForced: true }, clients } });
    } else {
      this.#change({ question: undefined });
      this.#tell({ isProblem: true, text: `${job.name}: ${error.message}` });
    }
  }

  #tell(notice: Notice): void {
    this.#cancelNotice();
    this.#change({ notice });
    if (!notice.isProblem) this.#cancelNotice = schedule(NOTICE_MS, () => this.dismissNotice());
  }

  #change(change: Partial<Steering>): void {
    this.#state = { ...this.#state, ...change };
    for (const callback of this.#subscribers) callback();
  }
}

function withToken(shown: string | undefined) {
  return shown === undefined ? {} : { shown };
}
