import { onTestFinished } from 'vitest';
import type { ScalableWorkload } from '../../../src/backends/kubernetes/api/api-shapes.ts';
import { Informer, type InformerState } from '../../../src/backends/kubernetes/api/informer.ts';
import { KubeClient } from '../../../src/backends/kubernetes/api/kube-client.ts';
import { type Clock, systemClock } from '../../../src/system/clock.ts';
import { ScriptedKubeApi } from '../../support/scripted-kube/scripted-kube-api.ts';

export const LIST = /^GET .*\/deployments\?.*limit=/;
export const WATCH = /^GET .*\/deployments\?.*watch=true/;
const PATH = '/apis/apps/v1/namespaces/shop/deployments';

/** An informer on the deployments of namespace `shop` that keeps their replicas, and all that it told. */
export class InformerBench {
  readonly api: ScriptedKubeApi;
  readonly informer: Informer<number>;
  /** `+shop/db 1`, `shop/db 1→2`, `-shop/db 2`, oldest first. */
  readonly changes: string[] = [];
  /** `synced`, or the reason why not. */
  readonly states: string[] = [];
  readonly refusals: number[] = [];
  /** Called within each change that is told. */
  onChange: () => void = () => {};
  readonly #waiting = new Set<() => void>();

  constructor(api: ScriptedKubeApi, options: { readonly clock: Clock }) {
    const { clock } = options;
    const client = new KubeClient({ access: api.access, clock });
    this.api = api;
    this.informer = new Informer({
      client,
      clock,
      path: PATH,
      select: ({ spec }: ScalableWorkload) => spec?.replicas ?? 1,
      changed: ({ key, before, after }) => {
        if (before === undefined) this.changes.push(`+${key} ${after}`);
        else if (after === undefined) this.changes.push(`-${key} ${before}`);
        else this.changes.push(`${key} ${before}→${after}`);
        this.onChange();
        this.#notify();
      },
      state: (state) => this.#told(state),
    });
    onTestFinished(async () => {
      await this.informer.close();
      client.close();
      await api.close();
    });
  }

  deploy(name: string, replicas: number): void {
    this.api.put('deployments', { metadata: { name, namespace: 'shop' }, spec: { replicas } });
  }

  /** Resolves as soon as what was told satisfies `condition`. */
  async until(condition: () => boolean): Promise<void> {
    while (!condition()) await new Promise<void>((resolve) => this.#waiting.add(resolve));
  }

  /** Makes one more change, and waits until it is told: whatever was to be told before it was told by then. */
  async barrier(): Promise<void> {
    const mark = `+shop/mark 7`;
    this.deploy('mark', 7);
    await this.until(() => this.changes.includes(mark));
    this.changes.splice(this.changes.indexOf(mark), 1);
  }

  #told(state: InformerState): void {
    this.states.push(state.synced ? 'synced' : state.reason);
    if (!state.synced && state.refusal) this.refusals.push(state.refusal.status);
    this.#notify();
  }

  #notify(): void {
    for (const resolve of this.#waiting) resolve();
    this.#waiting.clear();
  }
}

/** Not started yet; all is closed when the test ends. */
export async function setUpInformer(options: { readonly clock?: Clock } = {}): Promise<InformerBench> {
  return new InformerBench(await ScriptedKubeApi.start(), { clock: options.clock ?? systemClock });
}
