/** Just enough of the ustar format for a root file system. */

const BLOCK_BYTES = 512;
const MAX_NAME_BYTES = 100;
const MAX_PREFIX_BYTES = 155;
const TYPE_FLAGS = { file: '0', symlink: '2', folder: '5' };

/** Yields the archive piece by piece, so that large files are not copied. */
export function* writeTar(entries) {
  for (const entry of entries) {
    yield formatHeader(entry);
    if (entry.kind !== 'file') continue;
    yield entry.content;
    yield Buffer.alloc((BLOCK_BYTES - (entry.content.length % BLOCK_BYTES)) % BLOCK_BYTES);
  }
  yield Buffer.alloc(2 * BLOCK_BYTES);
}

function formatHeader(entry) {
  const { prefix, name } = splitPath(entry.path.replace(/^\/+/, ''));
  const header = Buffer.alloc(BLOCK_BYTES);
  const octal = (value, digits) => value.toString(8).padStart(digits, '0');
  header.write(name, 0);
  header.write(octal(entry.kind === 'symlink' ? 0o777 : entry.mode, 7), 100);
  // Owner and group: root.
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(entry.kind === 'file' ? entry.content.length : 0, 11), 124);
  header.write(octal(0, 11), 136);
  header.write(TYPE_FLAGS[entry.kind], 156);
  if (entry.kind === 'symlink') header.write(entry.target, 157);
  header.write('ustar\u000000', 257);
  header.write(prefix, 345);
  // The checksum is counted with its own field full of spaces.
  header.fill(' ', 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\u0000 `, 148);
  return header;
}

/** A long path is cut at a slash: the front goes into a field of its own. */
function splitPath(path) {
  if (Buffer.byteLength(path) <= MAX_NAME_BYTES) return { prefix: '', name: path };
  for (let at = path.indexOf('/'); at !== -1; at = path.indexOf('/', at + 1)) {
    const [prefix, name] = [path.slice(0, at), path.slice(at + 1)];
    if (Buffer.byteLength(prefix) > MAX_PREFIX_BYTES) break;
    if (Buffer.byteLength(name) <= MAX_NAME_BYTES) return { prefix, name };
  }
  throw new Error(`the path "${path}" is too long for the archive`);
}
