import type { ClientRequest, IncomingMessage } from 'node:http';

/** No real server sends more interim answers (1xx). */
const MAX_INFORMATIONAL = 16;

/** The server has answered 101 (Switching Protocols), which the request did not ask for. */
export class ProtocolSwitchError extends Error {
  readonly code = 'protocol-switch';
}

/**
 * Waits for the head of the answer to a request that isn't sent yet; the caller then ends the request, and reads the body.
 * It settles on everything that a server may send. Node emits neither a response nor an error where a server switches
 * protocols without being asked. An abort, at any time, ends the connection and fails the reading of the body.
 * @param signal must abort some time: a server may stay silent for ever.
 * @throws the signal's reason; {ProtocolSwitchError}; {Error} where the connection fails or ends without an answer, or no
 * real answer comes.
 */
export function awaitAnswer(request: ClientRequest, signal: AbortSignal): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    let answer: IncomingMessage | undefined;
    const end = () => signal.removeEventListener('abort', abort);
    const fail = (error: unknown) => {
      reject(error);
      request.destroy();
    };
    const abort = () => {
      answer?.destroy(signal.reason);
      fail(signal.reason);
    };
    const switched = () =>
      fail(new ProtocolSwitchError('it switches protocols (101), which nobody asked for'));
    let informational = 0;
    request
      // A destroyed request may emit a further error.
      .on('error', fail)
      .on('information', () => {
        if (++informational > MAX_INFORMATIONAL) fail(new Error('it answers 1xx only'));
      })
      .once('upgrade', (_response, socket) => {
        // The socket no longer belongs to the request.
        socket.on('error', () => {}).destroy();
        switched();
      })
      .once('response', (response) => {
        // A 101 without an Upgrade header.
        if (response.statusCode === 101) return switched();
        answer = response;
        // Whoever reads the body hears of a failure. Without this, a failure of a body that nobody reads would end the process.
        response.on('error', () => {}).once('close', end);
        resolve(response);
      })
      .once('close', () => {
        if (answer !== undefined) return;
        end();
        fail(new Error('the connection was closed without an answer'));
      });
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}
