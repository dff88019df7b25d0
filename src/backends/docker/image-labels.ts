import { optInLabel, optsIn } from '../../model/opt-in.ts';
import type { Logger } from '../../system/log/logger.ts';
import { describeError } from '../../system/message-of.ts';
import type { LabelledWorkload } from '../backend.ts';
import type { EngineClient } from '../engine/engine-client.ts';
import { EngineUnreachable } from '../engine/errors.ts';

/** A container whose labels are asked about. */
export interface LabelledContainer {
  readonly id: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Undefined where no list has told it. */
  readonly imageId: string | undefined;
}

type Labels = Readonly<Record<string, string>>;

/** So much is remembered of what is no longer there. */
const MAX_KNOWN = 512;

/**
 * Tells which labels of a container are its own, and which it has from its image: one call for an image, and one for a
 * container that no list has told of. A label that the container repeats with its image's value counts as the image's, since
 * the engine doesn't tell these apart; where the image can't be looked at, all of them do.
 */
export class ImageLabels {
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

  /** Whether the labels of that container's own can be told. */
  knows(container: LabelledContainer): boolean {
    const image = this.#imageOf(container);
    return image === undefined ? this.#images.has(container.id) : this.#labels.has(image);
  }

  /** Forgets what is none of these containers', where it is much. */
  keep(containers: readonly LabelledContainer[]): void {
    if (this.#images.size <= MAX_KNOWN && this.#labels.size <= MAX_KNOWN) return;
    const images = new Set(containers.map((container) => this.#imageOf(container)));
    const ids = new Set(containers.map(({ id }) => id));
    for (const image of [...this.#labels.keys()]) if (!images.has(image)) this.#labels.delete(image);
    for (const id of [...this.#images.keys()]) if (!ids.has(id)) this.#images.delete(id);
  }

  /** The container with the labels alone that it adds to its image, and with what it loses by that. */
  withOwnLabels<T extends LabelledContainer>(
    container: T,
    prefix: string,
  ): T & Pick<LabelledWorkload, 'imageOptsIn'> {
    const labels = this.#ownLabels(container);
    const optIn = optInLabel(prefix);
    const isLost = Object.hasOwn(container.labels, optIn) && !Object.hasOwn(labels, optIn);
    const imageOptsIn = isLost && optsIn(container.labels[optIn]);
    return { ...container, labels, ...(imageOptsIn && { imageOptsIn }) };
  }

  /** What the container adds to its image; nothing where that isn't known. */
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
      // Another container may be allowed to be looked at.
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
