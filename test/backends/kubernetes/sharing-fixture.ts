import { onTestFinished } from 'vitest';
import { KubeClient } from '../../../src/backends/kubernetes/api/kube-client.ts';
import type { KubeRequest } from '../../../src/backends/kubernetes/api/kube-transport.ts';
import { WorkloadSharing } from '../../../src/backends/kubernetes/sharing/workload-sharing.ts';
import { systemClock } from '../../../src/system/clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { createRecordingLogger } from '../../support/recording-logger.ts';
import { ScriptedKubeApi } from '../../support/scripted-kube/scripted-kube-api.ts';

export const NAMESPACE = 'proxy';
export const DURATION_MS = 15_000;
const STEP_MS = 250;

/** Knows which calls have no answer yet, and can lose its network. */
class WatchedClient extends KubeClient {
  readonly #inFlight = new Set<Promise<unknown>>();
  isDead = false;

  override request<T>(request: KubeRequest): Promise<T> {
    const answer = this.isDead ? aborted<T>(request.signal) : super.request<T>(request);
    this.#inFlight.add(answer);
    const end = () => this.#inFlight.delete(answer);
    answer.then(end, end);
    return answer;
  }

  /** Resolves when every call has its answer, and what followed from it as well. */
  async idle(): Promise<void> {
    while (this.#inFlight.size > 0) {
      await Promise.allSettled(this.#inFlight);
      await new Promise((resolve) => setImmediate(resolve));
    }
  }
}

function aborted<T>(signal: AbortSignal): Promise<T> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
}

/** One replica of the proxy: its sharing, its own clock, and what it was told. */
export class Replica {
  readonly clock = new FakeClock();
  readonly logger = createRecordingLogger();
  readonly client: WatchedClient;
  readonly sharing: WorkloadSharing;
  isSleeper: boolean | undefined;
  held: readonly string[] = [];
  /** How often anything was told. */
  told = 0;

  constructor(options: { readonly api: ScriptedKubeApi; readonly identity: string }) {
    const { api, identity } = options;
    this.client = new WatchedClient({ access: api.access, clock: systemClock });
    this.sharing = new WorkloadSharing({
      client: this.client,
      namespace: NAMESPACE,
      identity,
      leaseDurationMs: DURATION_MS,
      clock: this.clock,
      logger: this.logger,
      told: ({ isSleeper, heldElsewhere }) => {
        this.isSleeper = isSleeper;
        this.held = [...heldElsewhere].sort();
        this.told += 1;
      },
    });
  }

  /** Ends without a word: its time stands still, and its calls reach nobody. */
  die(): void {
    this.client.isDead = true;
  }

  errors(level: 'error' | 'warn'): readonly string[] {
    return this.logger.lines.filter((line) => line.level === level).map(({ message }) => message);
  }
}

/** Replicas at one API server. Their clocks move together, and don't agree on the time of day. */
export class ReplicaTeam {
  readonly api: ScriptedKubeApi;
  readonly #replicas: Replica[] = [];
  #marks = 0;

  constructor(api: ScriptedKubeApi) {
    this.api = api;
  }

  async join(identity: string): Promise<Replica> {
    const replica = this.add(identity);
    await replica.sharing.start();
    return replica;
  }

  /** Not started yet. */
  add(identity: string): Replica {
    const replica = new Replica({ api: this.api, identity });
    this.#replicas.push(replica);
    return replica;
  }

  /** Time passes for all who live, in steps; what each brings is done before the next. */
  async pass(ms: number): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += STEP_MS) {
      for (const { clock } of this.#living()) await clock.advance(Math.min(STEP_MS, ms - passedMs));
      await this.settle();
    }
  }

  /** As `pass`, where calls stay without an answer: it doesn't wait for any. */
  async passBlindly(ms: number): Promise<void> {
    for (let passedMs = 0; passedMs < ms; passedMs += STEP_MS)
      for (const { clock } of this.#living()) await clock.advance(Math.min(STEP_MS, ms - passedMs));
  }

  /** Resolves when all calls are answered, and everybody has seen all that was written. */
  async settle(): Promise<void> {
    for (const { client } of this.#living()) await client.idle();
    await this.#barrier();
    for (const { client } of this.#living()) await client.idle();
  }

  /** A record of a replica that isn't there. */
  putRecord(name: string, inUse: readonly string[], options: { readonly renewTime?: string } = {}): void {
    const { renewTime = '2026-01-01T00:00:00.000000Z' } = options;
    this.api.put('leases', {
      metadata: {
        name: `lazy-proxy-${name}`,
        namespace: NAMESPACE,
        labels: { 'app.kubernetes.io/managed-by': 'lazy-proxy', 'lazy-proxy/replica': 'true' },
        annotations: { 'lazy-proxy/in-use': JSON.stringify(inUse) },
      },
      spec: { holderIdentity: name, leaseDurationSeconds: DURATION_MS / 1_000, renewTime },
    });
  }

  get election(): { readonly holderIdentity?: string; readonly leaseTransitions: number } | undefined {
    return this.api.get('leases', `${NAMESPACE}/lazy-proxy`)?.spec;
  }

  inUse(identity: string): readonly string[] | undefined {
    const record = this.api.get('leases', `${NAMESPACE}/lazy-proxy-${identity}`);
    return record && JSON.parse(record.metadata.annotations['lazy-proxy/in-use']);
  }

  async close(): Promise<void> {
    for (const { sharing, client } of this.#replicas) {
      client.isDead = false;
      await sharing.close();
      client.close();
    }
    await this.api.close();
  }

  #living(): readonly Replica[] {
    return this.#replicas.filter(({ client, told }) => !client.isDead && told > 0);
  }

  /** Something that all can be seen to see: whatever was written before, they have seen by then. */
  async #barrier(): Promise<void> {
    const mark = `mark/${++this.#marks}`;
    this.putRecord('mark', [mark], { renewTime: mark });
    await this.#until((held) => held.includes(mark));
    this.api.remove('leases', `${NAMESPACE}/lazy-proxy-mark`);
    await this.#until((held) => !held.includes(mark));
  }

  async #until(condition: (held: readonly string[]) => boolean): Promise<void> {
    for (const replica of this.#living()) await until(() => condition(replica.held));
  }
}

/** Resolves as soon as `condition` holds; it must come about without a clock being moved. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

export async function setUpTeam(): Promise<ReplicaTeam> {
  const team = new ReplicaTeam(await ScriptedKubeApi.start());
  onTestFinished(() => team.close());
  return team;
}
