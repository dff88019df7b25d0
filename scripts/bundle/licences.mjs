/** The licences of what is in the bundles: whoever passes on copies passes on their texts. */
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';

const FOLDER = 'node_modules/';

/**
 * @param {readonly import('esbuild').Metafile[]} metafiles
 * @param {string} root folder of the repository
 * @returns {Promise<string>} one section for each package.
 */
export async function collectLicences(metafiles, root) {
  const files = metafiles.flatMap(({ outputs }) =>
    Object.values(outputs).flatMap(({ inputs }) =>
      Object.keys(inputs).filter((file) => inputs[file].bytesInOutput > 0),
    ),
  );
  const folders = new Set(files.map(packageFolder).filter((folder) => folder !== undefined));
  const sections = [...folders].sort().map((folder) => describePackage(path.join(root, folder)));
  return `${[...new Set(await Promise.all(sections))].join('\n\n')}\n`;
}

/** `node_modules/a/node_modules/@b/c/d.js` → `node_modules/a/node_modules/@b/c`; undefined for a file of ours. */
function packageFolder(file) {
  const start = file.lastIndexOf(FOLDER) + FOLDER.length;
  if (start < FOLDER.length) return undefined;
  const depth = file[start] === '@' ? 2 : 1;
  return file.slice(0, start) + file.slice(start).split('/').slice(0, depth).join('/');
}

async function describePackage(folder) {
  const { name, version, license } = JSON.parse(await readFile(path.join(folder, 'package.json'), 'utf8'));
  const names = (await readdir(folder)).filter((file) => /^licen[cs]e/i.test(file)).sort();
  const texts = await Promise.all(names.map((file) => readFile(path.join(folder, file), 'utf8')));
  return [`# ${name} ${version} (${license})`, ...texts.map((text) => text.trim())].join('\n\n');
}
