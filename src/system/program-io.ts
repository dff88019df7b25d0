/** What the program has from its process; tests pass something else. */
export interface ProgramIo {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd: string;
  /** Standard output is a terminal. */
  readonly isTerminal: boolean;
  /** Standard output, where it is a terminal. */
  readonly terminal?: TerminalIo | undefined;
  /** Write one line, given without its line feed. Control characters in it, line feeds too, are escaped: see `escapeText()`. */
  readonly stdout: (line: string) => void;
  readonly stderr: (line: string) => void;
  /** Waits until what was written is read, but only a moment, so that the program can end. */
  settleOutput(): Promise<void>;
  /** Calls back at each of these signals; the returned function stops that. */
  onSignal(signals: readonly NodeJS.Signals[], callback: (signal: NodeJS.Signals) => void): () => void;
}

/** A terminal that text is written to as it is: whatever is others' has to be escaped before, colours are ours. */
export interface TerminalIo {
  /** Its width and height now. */
  readonly columns: () => number;
  readonly rows: () => number;
  readonly write: (text: string) => void;
}
