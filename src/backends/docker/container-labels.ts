/** Which labels of containers count: all, or only those that a container doesn't have from its image. */
import { decidingOptIn, findOptIns, type LabelPrefixes, optsIn } from '../../model/label-names.ts';
import type { Clock } from '../../system/clock.ts';
import { type Logger, silentLogger } from '../../system/log/logger.ts';
import { describeError } from '../../system/message-of.ts';
import type { LabelledWorkload, LabelOptions } from '../backend.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import { askOnce, type EngineQueryOptions } from '../engine/engine-connection.ts';
import { EngineUnreachable } from '../engine/errors.ts';
import { LabelFeed, selectLabelled } from '../label-feed.ts';
import { ContainerCache, type LabelledContainer } from './container-cache.ts';

/**
 * Tells the labels of all containers when they change. Where labels of images don't count, it first asks the engine which
 * ones those are. Owns a timer: `close()`.
 */
export class ContainerLabels {
  readonly #cache: ContainerCache;
  readonly #session: () => AbortSignal | undefined;
  readonly #images: ImageLabels;
  readonly #feed: LabelFeed;
  #learning: Promise<void> | undefined;

  constructor(options: {
    readonly client: EngineClient;
    readonly cache: ContainerCache;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly labelOptions: LabelOptions;
    /** Of the engine's connection that stands now, undefined while the engine is away. */
    readonly session: () => AbortSignal | undefined;
    readonly tell: (snapshot: readonly LabelledWorkload[]) => void;
    /** Told after each burst of changes among the containers. */
    readonly settled: () => void;
  }) {
    const { client, clock, logger, labelOptions, tell, settled } = options;
    this.#cache = options.cache;
    this.#session = options.session;
    this.#images = new ImageLabels({ client, logger });
    this.#feed = new LabelFeed({
      ...{ clock, labelOptions, tell, settled, select: (counted) => this.#select(counted) },
    });
  }

  /** Other labels count from now on. */
  setLabelOptions(labelOptions: LabelOptions): void {
    this.#feed.setLabelOptions(labelOptions);
  }

  /** A container appeared, went or got another name: told soon. */
  touch(): void {
    this.#feed.touch();
  }

  /** Tells now. Resolves when that is done, which may take asking for images first. Never rejects. */
  async flush(): Promise<void> {
    this.#feed.flush();
    await this.#learning;
  }

  close(): void {
    this.#feed.close();
  }

  /** Undefined while the proxy asks which labels are those of images. */
  #select(counted: LabelOptions): readonly LabelledWorkload[] | undefined {
    const all = this.#cache.labelled();
    if (counted.imageLabels !== false) return selectLabelled(all, counted);
    const optingIn = findOptingIn(all, counted);
    this.#images.keep(optingIn);
    const unknown = optingIn.filter((container) => !this.#images.knows(container));
    const session = this.#session();
    if (unknown.length > 0) {
      if (session !== undefined) this.#learning ??= this.#learn(unknown, session);
      return undefined;
    }
    return this.#images.selectOwn(optingIn, counted);
  }

  async #learn(containers: readonly LabelledContainer[], session: AbortSignal): Promise<void> {
    try {
      for (const container of containers) await this.#images.learn(container, session);
    } catch {
      // The engine is away: after the next list this begins again.
      this.#learning = undefined;
      return;
    }
    this.#learning = undefined;
    this.#feed.flush();
  }
}

/**
 * The labels as they are now, without observing: connects, lists, and is gone.
 * @throws {Error} where the engine can't be asked.
 */
export function readLabelledContainers(
  options: EngineQueryOptions & LabelOptions,
): Promise<readonly LabelledWorkload[]> {
  return askOnce(options, async (client, signal) => {
    const cache = new ContainerCache();
    cache.replaceAll(await client.list(signal));
    const all = cache.labelled();
    if (options.imageLabels !== false) return selectLabelled(all, options);
    const images = new ImageLabels({ client, logger: silentLogger });
    const optingIn = findOptingIn(all, options);
    for (const container of optingIn) await images.learn(container, signal);
    return images.selectOwn(optingIn, options);
  });
}

/** Resolves where the engine answers. @throws {Error} where it doesn't, saying why. */
export function pingEngine(options: EngineQueryOptions): Promise<void> {
  return askOnce(options, (client, signal) => client.ping(signal));
}

type Candidate = LabelledContainer & LabelledWorkload;

/** The containers whose images matter; none where no label counts. */
function findOptingIn(
  all: readonly Candidate[],
  { labels: areCounted, labelPrefixes }: LabelOptions,
): readonly Candidate[] {
  return all.filter(({ labels }) => areCounted && findOptIns(labels, labelPrefixes).length > 0);
}

type Labels = Readonly<Record<string, string>>;

/** How many containers and images are remembered before those that are gone are forgotten. */
const MAX_KNOWN = 512;

/**
 * Knows which labels of a container are its own, and which it has from its image. That takes one call for an image, and one
 * for a container that no list has named. A label with the same value as in the image counts as the image's, since the
 * engine doesn't tell the two apart. Where the image can't be looked at, all labels count as the image's.
 */
class ImageLabels {
  readonly #client: EngineClient;
  readonly #logger: Logger;
  /** By image; undefined = it can't be looked at. */
  readonly #labels = new Map<string, Labels | undefined>();
  /** By container; undefined = it can't be looked at. */
  readonly #images = new Map<string, string | undefined>();

  constructor(options: { readonly client: EngineClient; readonly logger: Logger }) {
    this.#client = options.client;
    this.#logger = options.logger;
  }

  /** Whether it is known which labels are the container's own. */
  knows(container: LabelledContainer): boolean {
    const image = this.#imageOf(container);
    return image === undefined ? this.#images.has(container.id) : this.#labels.has(image);
  }

  /** Forgets all but these containers and their images, once it remembers many. */
  keep(containers: readonly LabelledContainer[]): void {
    if (this.#images.size <= MAX_KNOWN && this.#labels.size <= MAX_KNOWN) return;
    const images = new Set(containers.map((container) => this.#imageOf(container)));
    const ids = new Set(containers.map(({ id }) => id));
    for (const image of [...this.#labels.keys()]) if (!images.has(image)) this.#labels.delete(image);
    for (const id of [...this.#images.keys()]) if (!ids.has(id)) this.#images.delete(id);
  }

  /** Those that take part with the labels that they add to their images; each is known. */
  selectOwn(containers: readonly Candidate[], options: LabelOptions): readonly LabelledWorkload[] {
    const own = containers.map((container) => this.#withOwnLabels(container, options.labelPrefixes));
    return selectLabelled(own, options);
  }

  /** The container with only the labels that it adds to its image; `imageOptIn` where it loses the one that opts in. */
  #withOwnLabels(container: Candidate, prefixes: LabelPrefixes): Candidate {
    const labels = this.#ownLabels(container);
    const imageOptIn = decidingOptIn(container.labels, prefixes);
    const isLost = imageOptIn !== undefined && decidingOptIn(labels, prefixes) === undefined;
    return { ...container, labels, ...(isLost && optsIn(container.labels[imageOptIn]) && { imageOptIn }) };
  }

  /** The labels that the container adds to its image; none where that isn't known. */
  #ownLabels(container: LabelledContainer): Labels {
    const inherited = this.#labels.get(this.#imageOf(container) ?? '');
    if (inherited === undefined) return {};
    const own = Object.entries(container.labels).filter(([label, value]) => inherited[label] !== value);
    return Object.fromEntries(own);
  }

  /**
   * Asks for what isn't known of a container yet.
   * @throws {EngineUnreachable} or the signal's reason, where the engine doesn't answer.
   */
  async learn(container: LabelledContainer, signal: AbortSignal): Promise<void> {
    try {
      const image = container.imageId ?? (await this.#client.inspect(container.id, signal))?.Image;
      this.#images.set(container.id, image);
      if (image === undefined || this.#labels.has(image)) return;
      const labels = await this.#client.inspectImage(image, signal);
      this.#labels.set(image, labels && (labels.Config?.Labels ?? {}));
      if (labels === undefined) this.#warn(container, 'its image is gone');
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof EngineUnreachable) throw error;
      // The engine may refuse this container alone: the others go on.
      this.#images.set(container.id, undefined);
      this.#warn(container, describeError(error));
    }
  }

  #imageOf({ id, imageId }: LabelledContainer): string | undefined {
    return this.#images.has(id) ? this.#images.get(id) : imageId;
  }

  #warn({ name }: LabelledContainer, reason: string): void {
    const message = `cannot tell the labels of container ${name} from those of its image, so none of them counts: ${reason}`;
    this.#logger.warn({ event: 'image-labels', container: name }, message);
  }
}
