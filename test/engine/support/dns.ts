/** Just enough of DNS to ask for the IPv4 address of a name and to see which question an answer is for. */
export interface DnsAnswer {
  readonly id: number;
  /** The name that was asked for. */
  readonly name: string;
  /** 0 = no error. */
  readonly status: number;
  readonly addresses: readonly string[];
}

const HEADER_BYTES = 12;
const TYPE_A = 1;
const CLASS_IN = 1;
const RECURSION_DESIRED = 0x0100;
const POINTER_MASK = 0xc0;

/** @param id 0–65535; the answer carries it. */
export function encodeDnsQuery(id: number, name: string): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt16BE(id, 0);
  header.writeUInt16BE(RECURSION_DESIRED, 2);
  header.writeUInt16BE(1, 4);
  const labels = name.split('.').map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));
  return Buffer.concat([header, ...labels, Buffer.from([0, 0, TYPE_A, 0, CLASS_IN])]);
}

export function decodeDnsAnswer(message: Buffer): DnsAnswer {
  const labels: string[] = [];
  let at = HEADER_BYTES;
  for (let length = message.readUInt8(at); length > 0; length = message.readUInt8(at)) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  at += 5;
  const addresses: string[] = [];
  for (let left = message.readUInt16BE(6); left > 0; left--) {
    at = skipName(message, at);
    const dataBytes = message.readUInt16BE(at + 8);
    const data = message.subarray(at + 10, at + 10 + dataBytes);
    if (message.readUInt16BE(at) === TYPE_A) addresses.push(data.join('.'));
    at += 10 + dataBytes;
  }
  return {
    id: message.readUInt16BE(0),
    name: labels.join('.'),
    status: message.readUInt16BE(2) & 0xf,
    addresses,
  };
}

/** A name is a row of labels that ends with an empty one or a pointer to an earlier name. */
function skipName(message: Buffer, from: number): number {
  let at = from;
  for (;;) {
    const length = message.readUInt8(at);
    if ((length & POINTER_MASK) === POINTER_MASK) return at + 2;
    if (length === 0) return at + 1;
    at += 1 + length;
  }
}
