/** What the program has from its process; tests pass something else. */
export interface ProgramIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Standard output is a terminal. */
  readonly isTerminal: boolean;
  /** Write one line, given without its line feed. Control characters in it, line feeds too, are escaped: see `escapeText()`. */
  readonly stdout: (line: string) => void;
  readonly stderr: (line: string) => void;
  /** Waits until what was written is read, but only a moment, so that the program can end. */
  settleOutput(): Promise<void>;
  /** Calls back at each of these signals; the returned function stops that. */
  onSignal(signals: readonly NodeJS.Signals[], callback: (signal: NodeJS.Signals) => void): () => void;
}
