/**
 * Datagrams of one sender that came together, in their order. They lie where the kernel wrote them, so a run is valid only
 * until the function that it was passed to returns.
 */
export interface DatagramRun {
  readonly size: number;
  /** The length of one of them, in bytes. */
  lengthOf(index: number): number;
  /** A copy to keep. */
  copy(index: number): Buffer;
  /**
   * Sends those from `from` on with one call, to `to` where the socket isn't connected.
   * @returns how many were sent, or the negative `errno` where not even one was.
   */
  send(fd: number, options: { readonly from: number; readonly to?: Uint32Array | undefined }): number;
}
