export type TarEntry =
  | { readonly kind: 'file'; readonly path: string; readonly content: Buffer; readonly mode: number }
  | { readonly kind: 'symlink'; readonly path: string; readonly target: string }
  | { readonly kind: 'folder'; readonly path: string; readonly mode: number };

/** Yields the archive piece by piece, so that large files are not copied. */
export declare function writeTar(entries: Iterable<TarEntry>): Generator<Buffer>;
