/** `errno` values of Linux, the same on every architecture that the native relay runs on. */
export const EINTR = 4;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const EEXIST = 17;
export const ENOSPC = 28;
export const EPIPE = 32;
export const ENOTCONN = 107;
export const EMSGSIZE = 90;
export const ECONNRESET = 104;
export const ECONNREFUSED = 111;
export const ECONNABORTED = 103;
export const EINPROGRESS = 115;
export const ENOBUFS = 105;
export const EINVAL = 22;
export const EAFNOSUPPORT = 97;
export const EADDRNOTAVAIL = 99;
export const ENETUNREACH = 101;
