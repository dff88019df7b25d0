/**
 * What the page shows, kept up to date: asked for every few seconds while somebody looks. A service that has not changed stays
 * the same object, so that nothing of it is drawn anew.
 */
import type { About, Finding, RawProblem, Reload, Service, ServiceDetail } from './api-types.ts';
import { type ApiError, askJson, servicePath, token } from './client.ts';
import { nowMs, schedule } from './clock.ts';

const POLL_MS = 2_000;
/** The engine is asked for them, and they change slowly. */
const MEMORY_MS = 10_000;
/** How long the next try waits, when the proxy does not answer. */
const RETRY_MS = 3_000;

/** Whether the proxy is heard: `cut` since when and why. */
export type Link =
  | { readonly kind: 'connecting' | 'live' | 'polling' }
  | { readonly kind: 'cut'; readonly sinceMs: number; readonly why: string };

export interface Shown {
  readonly link: Link;
  /** Reading needs the token, and it is missing or wrong. */
  readonly isLocked: boolean;
  readonly about: About | undefined;
  readonly services: readonly Service[];
  /** By service, what its workload took when it last ran, as far as this page saw. */
  readonly memory: ReadonlyMap<string, number>;
  readonly reload: Reload | undefined;
  readonly problems: readonly Finding[];
  /** Of the service that is looked at. */
  readonly detail: ServiceDetail | undefined;
  /** Why there is none: there is no such service (any more). */
  readonly detailProblem: string | undefined;
}

const NOTHING: Shown = {
  link: { kind: 'connecting' },
  isLocked: false,
  about: undefined,
  services: [],
  memory: new Map(),
  reload: undefined,
  problems: [],
  detail: undefined,
  detailProblem: undefined,
};

/** `start()`, then `subscribe()`; it lives as long as the page. */
export class LiveData {
  #shown = NOTHING;
  readonly #subscribers = new Set<() => void>();
  readonly #texts = new Map<string, string>();
  #wanted: string | undefined;
  #memoryDueMs = 0;
  /** The API may be an older one, which has no such path. */
  #hasReload = true;
  #isAsking = false;
  #isDirty = false;
  #cancel: () => void = () => {};

  get shown(): Shown {
    return this.#shown;
  }

  subscribe(callback: () => void): () => void {
    this.#subscribers.add(callback);
    return () => this.#subscribers.delete(callback);
  }

  start(): void {
    document.addEventListener('visibilitychange', () => {
      if (!document.hidden) this.refresh();
    });
    this.refresh();
  }

  /** Which service's details are wanted; undefined = none. */
  look(name: string | undefined): void {
    if (name === this.#wanted) return;
    this.#wanted = name;
    const row = this.#shown.services.find((service) => service.name === name);
    if (row === undefined || this.#shown.detail?.name !== name)
      this.#show({ detail: undefined, detailProblem: undefined });
    if (name !== undefined) this.refresh();
  }

  /** Asks now, or as soon as the question that is under way is answered. */
  refresh(): void {
    this.#isDirty = true;
    this.#cancel();
    if (!this.#isAsking) void this.#ask();
  }

  async #ask(): Promise<void> {
    this.#isAsking = true;
    let waitMs = POLL_MS;
    try {
      while (this.#isDirty) {
        this.#isDirty = false;
        await this.#askAll();
      }
    } catch (error) {
      this.#isDirty = false;
      waitMs = RETRY_MS;
      this.#showFailure(error as ApiError);
    }
    this.#isAsking = false;
    // Whoever does not look costs the proxy nothing.
    if (!document.hidden) this.#cancel = schedule(waitMs, () => this.refresh());
  }

  async #askAll(): Promise<void> {
    const wantsMemory = nowMs() >= this.#memoryDueMs;
    const [services, about, reload, detail] = await Promise.all([
      askJson<readonly Service[]>(`api/services${wantsMemory ? '?memory=true' : ''}`),
      askJson<About>('api'),
      this.#askReload(),
      this.#askDetail(),
    ]);
    if (wantsMemory) this.#memoryDueMs = nowMs() + MEMORY_MS;
    this.#show({
      ...{ link: { kind: 'polling' }, isLocked: false, about, ...reload, ...detail },
      services: this.#share(services),
      memory: collectMemory(services, this.#shown.memory),
    });
  }

  #showFailure(error: ApiError): void {
    if (error.status === 401 || (error.status === 403 && this.#shown.about === undefined)) {
      if (error.status === 401 && token.read() !== undefined) token.keep(undefined);
      this.#show({
        isLocked: error.status === 401,
        link: { kind: 'cut', sinceMs: nowMs(), why: error.message },
      });
      return;
    }
    const { link } = this.#shown;
    const sinceMs = link.kind === 'cut' ? link.sinceMs : nowMs();
    this.#show({ link: { kind: 'cut', sinceMs, why: error.message } });
  }

  async #askReload(): Promise<Pick<Shown, 'reload' | 'problems'>> {
    const problems = (await askJson<readonly RawProblem[]>('problems')).map(toFinding);
    if (!this.#hasReload) return { reload: undefined, problems };
    try {
      return { reload: await askJson<Reload>('api/reload'), problems };
    } catch (error) {
      if ((error as ApiError).status !== 404) throw error;
      this.#hasReload = false;
      return { reload: undefined, problems };
    }
  }

  async #askDetail(): Promise<Partial<Shown>> {
    const wanted = this.#wanted;
    if (wanted === undefined) return {};
    try {
      const detail = await askJson<ServiceDetail>(servicePath(wanted));
      return this.#wanted === wanted ? { detail, detailProblem: undefined } : {};
    } catch (error) {
      if ((error as ApiError).status !== 404) throw error;
      return { detail: undefined, detailProblem: (error as ApiError).message };
    }
  }

  #share(services: readonly Service[]): readonly Service[] {
    const before = new Map(this.#shown.services.map((service) => [service.name, service]));
    const shared = services.map((service) => {
      const text = JSON.stringify({ ...service, memory: undefined });
      const known = before.get(service.name);
      if (known !== undefined && this.#texts.get(service.name) === text) return known;
      this.#texts.set(service.name, text);
      return service;
    });
    const names = new Set(shared.map(({ name }) => name));
    for (const name of this.#texts.keys()) if (!names.has(name)) this.#texts.delete(name);
    const isSame =
      shared.length === this.#shown.services.length &&
      shared.every((service, index) => service === this.#shown.services[index]);
    return isSame ? this.#shown.services : shared;
  }

  #show(change: Partial<Shown>): void {
    this.#shown = { ...this.#shown, ...change };
    for (const callback of this.#subscribers) callback();
  }
}

function collectMemory(
  services: readonly Service[],
  before: ReadonlyMap<string, number>,
): ReadonlyMap<string, number> {
  const memory = new Map<string, number>();
  for (const { name, memory: now } of services) {
    const bytes = now?.bytes ?? before.get(name);
    if (bytes !== undefined) memory.set(name, bytes);
  }
  return memory;
}

function toFinding({ code, severity, message, origin }: RawProblem): Finding {
  const { file, line, column } = origin;
  const place =
    file === undefined ? '' : `${[file, line, column].filter((part) => part !== undefined).join(':')} `;
  return {
    ...{ code, severity, message, text: `${place}${message}` },
    ...(file !== undefined && { file }),
    ...(line !== undefined && { line }),
    ...(column !== undefined && { column }),
  };
}
