import { dirname } from 'node:path';
import type { ConfigText, FileConfig, ParsedFile } from '../config/file.ts';
import { type ConfigCandidates, describeConfigPath } from './config-candidates.ts';
import { hasErrors, type Problem } from '../model/problem.ts';
import type { Clock } from '../system/clock.ts';
import { messageOf } from '../system/message-of.ts';
import { type FileSnapshot, FileSource } from './file-source.ts';

/** Parses a content, and gives it up when the signal aborts. @throws {Error} with the reason why it can't be parsed now. */
export type ParseContent = (input: ConfigText, signal: AbortSignal) => Promise<ParsedFile>;

/**
 * The configuration file as the proxy uses it: the last good content, and what is wrong with the newest one.
 * A broken file never replaces a good one, and one that is parsed for long holds up neither a newer one nor `close()`.
 */
export class ConfigFile {
  readonly #source: FirstFileSource;
  readonly #parse: ParseContent;
  readonly #onChange: () => void;
  readonly #cwd: string;
  readonly #named: ConfigCandidates['named'];
  #path: string | undefined;
  #config: FileConfig | undefined;
  #problems: readonly Problem[] = [];
  #refusedText: string | undefined;
  #refusedReloads = 0;
  #changes = 0;
  #isMended = false;
  /** Resolves when the last content is dealt with: contents are handled one after the other, in their order. */
  #taken: Promise<void> = Promise.resolve();
  /** Of the newest content. */
  #parsing = new AbortController();
  /** A content that could not be parsed, perhaps for a passing reason such as a lack of memory. */
  #untaken: FileSnapshot | undefined;
  #closed = false;

  constructor(options: {
    readonly candidates: ConfigCandidates;
    readonly cwd: string;
    readonly parse: ParseContent;
    readonly clock: Clock;
    /** Called after each change of the file since `start()`, whether it is valid or not. */
    readonly onChange: () => void;
  }) {
    const { named, candidates } = options.candidates;
    this.#cwd = options.cwd;
    this.#parse = options.parse;
    this.#onChange = options.onChange;
    this.#named = named;
    this.#source = new FirstFileSource({
      paths: named === undefined ? candidates : [named.path],
      named: named !== undefined,
      clock: options.clock,
      onChange: (snapshot) => {
        this.#follow(snapshot, (signal) => this.#takeChange(snapshot, signal));
      },
    });
  }

  /** The last good content; undefined = no file yet. */
  get config(): FileConfig | undefined {
    return this.#config;
  }

  /** What is wrong with the newest content. */
  get problems(): readonly Problem[] {
    return this.#problems;
  }

  /** The newest content while it is refused. */
  get refusedText(): string | undefined {
    return this.#refusedText;
  }

  /** How often a change was refused since the start. */
  get refusedReloads(): number {
    return this.#refusedReloads;
  }

  /** Whether the newest content is good and the one before it was not. */
  get isMended(): boolean {
    return this.#isMended;
  }

  /** The file's path; undefined in label-only mode. */
  get path(): string | undefined {
    return this.#path;
  }

  /** The path as messages show it. */
  get shownPath(): string | undefined {
    return this.#path === undefined ? undefined : describeConfigPath(this.#path, this.#cwd);
  }

  /** The path, as messages show it, of a file that was named and may be made later; undefined where there is one already. */
  get awaitedPath(): string | undefined {
    if (this.#path !== undefined || this.#named?.mayBeAbsent !== true) return undefined;
    return describeConfigPath(this.#named.path, this.#cwd);
  }

  /** Reads the file for the first time and begins to watch it; resolves when its newest content is taken. */
  async start(): Promise<void> {
    const first = await this.#source.start();
    this.#follow(first, (signal) => this.#take(first, signal));
    await this.#settle();
  }

  /** Reads it again now, and parses again what could not be parsed; resolves, when that is done, with whether a change was told. */
  async reload(): Promise<boolean> {
    const before = this.#changes;
    await this.#source.reload();
    await this.#settle();
    const untaken = this.#untaken;
    if (this.#changes === before && untaken !== undefined) {
      this.#follow(untaken, (signal) => this.#takeChange(untaken, signal));
      await this.#settle();
    }
    return this.#changes !== before;
  }

  /** Stops watching, and gives up what is being parsed. Idempotent. */
  close(): Promise<void> {
    this.#closed = true;
    this.#parsing.abort(new Error('the file is no longer watched'));
    return this.#source.close();
  }

  /** Handles a content in its turn; an older one that is still being parsed is given up. */
  #follow(snapshot: FileSnapshot, take: (signal: AbortSignal) => Promise<unknown>): void {
    this.#parsing.abort(new Error(`${snapshot.path} has changed again`));
    this.#parsing = new AbortController();
    const { signal } = this.#parsing;
    if (this.#closed) return;
    this.#taken = this.#taken.then(async () => {
      if (!signal.aborted) await take(signal);
    });
  }

  async #settle(): Promise<void> {
    for (let seen: Promise<void> | undefined; seen !== this.#taken; ) {
      seen = this.#taken;
      await seen;
    }
  }

  async #takeChange(snapshot: FileSnapshot, signal: AbortSignal): Promise<void> {
    const wasRefused = hasErrors(this.#problems);
    const isTaken = await this.#take(snapshot, signal);
    if (this.#closed || !isTaken) return;
    const isRefused = hasErrors(this.#problems);
    if (isRefused) this.#refusedReloads++;
    this.#isMended = wasRefused && !isRefused;
    this.#changes++;
    this.#onChange();
  }

  /** Returns false where it was given up. */
  async #take(snapshot: FileSnapshot, signal: AbortSignal): Promise<boolean> {
    const { path, text } = snapshot;
    let { error } = snapshot;
    const file = describeConfigPath(path, this.#cwd);
    this.#untaken = undefined;
    if (text !== undefined) {
      try {
        const parsed = await this.#parse({ text, file, folder: dirname(path) }, signal);
        this.#path = path;
        this.#problems = parsed.problems;
        this.#config = parsed.config ?? this.#config;
        this.#refusedText = parsed.config === undefined ? text : undefined;
        return true;
      } catch (cause) {
        if (signal.aborted) return false;
        this.#untaken = snapshot;
        error = `can't be parsed: ${messageOf(cause)}`;
      }
    }
    const mayBeAbsent = this.#named === undefined || this.#named.mayBeAbsent === true;
    if (error === undefined && this.#path === undefined && mayBeAbsent) return true;
    const message = error ?? 'there is no such file';
    const origin = { kind: 'file', file, line: 1, column: 1 } as const;
    this.#refusedText = undefined;
    this.#problems = [{ code: 'file-unreadable', severity: 'error', message, origin }];
    return true;
  }
}

/**
 * Of several paths, the first at which there is a file; all of them are watched, so that one may appear later.
 * Where none exists, the snapshot's text is undefined, and its path that of the file which was there last, or the first.
 */
export class FirstFileSource {
  readonly #sources: readonly FileSource[];
  readonly #snapshots: (FileSnapshot | undefined)[];
  readonly #onChange: (snapshot: FileSnapshot) => void;
  #told: FileSnapshot | undefined;

  constructor(options: {
    /** At least one, in the order of preference. */
    readonly paths: readonly string[];
    /** Whether the user named them: see `readConfigFile`. */
    readonly named: boolean;
    readonly clock: Clock;
    /** Told of each change after `start()`. */
    readonly onChange: (snapshot: FileSnapshot) => void;
  }) {
    this.#onChange = options.onChange;
    this.#snapshots = options.paths.map(() => undefined);
    this.#sources = options.paths.map((path, index) => {
      const onChange = (snapshot: FileSnapshot) => this.#changed(index, snapshot);
      return new FileSource({ path, named: options.named, clock: options.clock, onChange });
    });
  }

  /** Begins to watch all paths and reads them once. */
  async start(): Promise<FileSnapshot> {
    const first = await Promise.all(this.#sources.map((source) => source.start()));
    for (const [index, snapshot] of first.entries()) this.#snapshots[index] ??= snapshot;
    this.#told = this.#choose();
    return this.#told;
  }

  /** Reads all paths again now; resolves when that is done. */
  async reload(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.reload()));
  }

  /** Stops watching. Idempotent. */
  async close(): Promise<void> {
    await Promise.all(this.#sources.map((source) => source.close()));
  }

  #changed(index: number, snapshot: FileSnapshot): void {
    this.#snapshots[index] = snapshot;
    if (this.#told === undefined) return;
    const chosen = this.#choose();
    if (
      chosen.path === this.#told.path &&
      chosen.text === this.#told.text &&
      chosen.error === this.#told.error
    )
      return;
    this.#told = chosen;
    this.#onChange(chosen);
  }

  #choose(): FileSnapshot {
    const present = this.#snapshots.find(
      (snapshot) => snapshot?.text !== undefined || snapshot?.error !== undefined,
    );
    const last = this.#snapshots.find((snapshot) => snapshot?.path === this.#told?.path);
    const chosen = present ?? last ?? this.#snapshots[0];
    if (chosen === undefined) throw new Error('no path was read');
    return chosen;
  }
}
