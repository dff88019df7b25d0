/** What the program is given by its process, so that tests can give it something else. */
export interface ProgramIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Standard output is a terminal. */
  readonly isTerminal: boolean;
  /** Write a line, given without its end; what a terminal must not get, line feeds too, is shown as `escapeText()` does. */
  readonly stdout: (line: string) => void;
  readonly stderr: (line: string) => void;
  /** Waits a moment until what was written is read; what is not by then won't keep the program from ending. */
  settleOutput(): Promise<void>;
  /** Calls back at each of these signals; the returned function stops that. */
  onSignal(signals: readonly NodeJS.Signals[], callback: (signal: NodeJS.Signals) => void): () => void;
}
