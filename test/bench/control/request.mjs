import { get } from 'node:http';

/** Asks a server of this machine; resolves with the answer's text. @param agent default: a connection of its own */
export function request(port, { path, agent = false }) {
  return new Promise((resolve, reject) => {
    const asked = get({ host: '127.0.0.1', port, path, agent }, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      answer.once('end', () => resolve(text));
      answer.on('error', reject);
    });
    asked.on('error', reject);
  });
}
