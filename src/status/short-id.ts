/** An engine's id as people know it: the first 12 characters, as Docker shows them, or `namespace/name` whole. */
export function shortenId(id: string): string {
  return id.includes('/') ? id : id.slice(0, 12);
}
