import { open, stat } from 'node:fs/promises';
import { messageOf } from './message-of.ts';

const MAX_TOKEN_BYTES = 4_096;

/**
 * The token that a file holds, or why it holds none. Never rejects. Only a file that is small is read: whoever asks the status
 * server has it read, and a pipe or a device might have no end.
 */
export async function readTokenFile(
  path: string,
): Promise<{ readonly token: string } | { readonly why: string }> {
  try {
    if (!(await stat(path)).isFile()) return { why: `status.token_file ${path} is not a file` };
    const text = (await readBeginning(path, MAX_TOKEN_BYTES + 1)).trim();
    if (text === '') return { why: `status.token_file ${path} is empty` };
    // It goes into a header, so nobody could show another one.
    if (text.length <= MAX_TOKEN_BYTES && /^[\x21-\x7e]+$/.test(text)) return { token: text };
    return {
      why: `status.token_file ${path} holds more than a token of letters, digits and signs, without spaces`,
    };
  } catch (error) {
    return { why: `status.token_file can't be read: ${messageOf(error)}` };
  }
}

async function readBeginning(path: string, maxBytes: number): Promise<string> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(maxBytes), 0, maxBytes, 0);
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
