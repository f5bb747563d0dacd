#!/usr/bin/env node
// Makes the vectors that openpgp.js signs. Needs Node 20, `npm install` here, and stock gpg 2.2 to look at what
// it can read. Dates are fixed; keys are new on each run. Run `python3 gpg.py --table` afterwards.

import { createHash } from 'node:crypto';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as openpgp from 'openpgp';

const here = dirname(fileURLToPath(import.meta.url));
const { version } = JSON.parse(readFileSync(join(here, 'node_modules/openpgp/package.json'), 'utf8'));
const KEY_TIME = '2026-11-20T12:00:00Z';
const sha = (bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const time = (date) => date.toISOString().replace('.000', '');

const KEYS = {
  'ed25519-legacy': { about: 'v4, Ed25519 as algorithm 22', options: { type: 'ecc', curve: 'ed25519Legacy' }, gpg: true },
  rsa3072: { about: 'v4, RSA-3072', options: { type: 'rsa', rsaBits: 3072 }, gpg: true },
  nistp256: { about: 'v4, NIST P-256', options: { type: 'ecc', curve: 'nistP256' }, gpg: true },
  ed25519: {
    about: 'v4, Ed25519 as algorithm 27, which stock gpg 2.2 cannot check',
    options: { type: 'curve25519' },
  },
  'rsa3072-sha3-512': {
    about: 'v4, RSA-3072, signed over SHA3-512, which stock gpg 2.2 cannot check',
    options: { type: 'rsa', rsaBits: 3072 },
    config: { preferredHashAlgorithm: openpgp.enums.hash.sha3_512 },
    detachedOnly: true, // openpgp.js writes "Hash: SHA3_512", which is no name of RFC 9580
  },
  'v6-ed25519': {
    about: 'v6, Ed25519; stock gpg 2.2 cannot check it; no Hash line and no checksum',
    options: { type: 'curve25519', config: { v6Keys: true } },
  },
  'v6-ed448': {
    about: 'v6, Ed448; stock gpg 2.2 cannot check it; no Hash line and no checksum',
    options: { type: 'curve448', config: { v6Keys: true } },
  },
};

/// One chain of one key: what `Case` in common.py is for gpg.
class Chain {
  constructor(name, about, key, detached) {
    Object.assign(this, { name, about, key, detached });
    this.folder = join(here, '..', name, 'entries');
    rmSync(join(here, '..', name), { recursive: true, force: true });
    mkdirSync(this.folder, { recursive: true });
    this.entries = [];
    this.previous = 'none';
    this.blog = 'new';
    this.sequence = 0;
    this.now = new Date('2026-11-23T14:00:00Z');
  }

  async open(options, checks) {
    const made = await openpgp.generateKey({
      userIDs: [{ name: 'Vector One', email: 'one@example.org' }],
      date: new Date(KEY_TIME),
      format: 'object',
      subkeys: [],
      ...options,
    });
    this.secret = made.privateKey;
    this.author = made.publicKey.getFingerprint().toUpperCase();
    this.armor = made.publicKey.armor().trim().replaceAll('\r\n', '\n');
    if (checks) {
      this.home = mkdtempSync(join(tmpdir(), 'v'));
      this.gpg(['--import'], this.armor);
    }
  }

  gpg(args, input) {
    const faked = `${time(this.now).replace(/[-:]/g, '').replace('Z', '')}!`;
    const all = ['--homedir', this.home, '--batch', '--no-tty', '--quiet', '--no-options', '--faked-system-time', faked];
    return spawnSync('gpg', [...all, ...args], { input, encoding: 'utf8' }).stdout;
  }

  async add(kind, lines, body, { date = this.now, verdict = 'valid', reason, spec, note } = {}) {
    const salt = createHash('sha256').update(`${this.name} ${this.entries.length}`).digest('hex').slice(0, 32);
    const content = [`Salt: ${salt}`, ...lines].join('\n') + (body === undefined ? '' : `\n\n${body}`);
    const skeleton = [
      'Spokes-Entry: 1',
      `Blog: ${this.blog}`,
      `Sequence: ${this.sequence}`,
      `Previous: ${this.previous}`,
      `Kind: ${kind}`,
      `Signed: ${time(this.now)}`,
      `Author: ${this.author}`,
      `Content: ${sha(content)} ${Buffer.byteLength(content)}`,
    ].join('\n');
    const text = `${skeleton}\n\n${content}`;
    const asc = await this.sign(text, date);
    const number = String(this.entries.length).padStart(3, '0');
    if (this.digestRefused) [verdict, reason, spec] = ['refused', 'digest', '5.4'];
    const entry = { file: `${number}${this.detached ? '.sig' : ''}.asc`, text: `${number}.txt`, verdict };
    writeFileSync(join(this.folder, entry.file), asc);
    writeFileSync(join(this.folder, entry.text), text);
    Object.assign(entry, reason && { reason, spec }, note && { note });
    if (this.home) {
      const files = this.detached ? [entry.file, entry.text] : [entry.file];
      const said = this.gpg(['--status-fd', '1', '--verify', ...files.map((file) => join(this.folder, file))]);
      entry.gpg = said.match(/^\[GNUPG:\] ([A-Z]+SIG) /m)?.[1] ?? 'none';
      if (verdict === 'valid' && entry.gpg !== 'GOODSIG') throw new Error(`${this.name} ${number}: ${said}`);
    }
    const id = sha(`${skeleton}\n`);
    if (verdict === 'valid') {
      entry.id = id;
      this.previous = id;
      this.blog = this.sequence === 0 ? id : this.blog;
      this.sequence += 1;
    }
    this.entries.push(entry);
    this.now = new Date(this.now.getTime() + 300_000);
    return id;
  }

  async sign(text, date) {
    const how = { signingKeys: this.secret, date, config: this.config };
    if (!this.detached) {
      return openpgp.sign({ message: await openpgp.createCleartextMessage({ text }), ...how });
    }
    const message = this.binary
      ? await openpgp.createMessage({ binary: Buffer.from(text) })
      : await openpgp.createMessage({ text });
    return openpgp.sign({ message, ...how, detached: true });
  }

  async walk() {
    const lines = ['Title: A vector', 'Language: en', `Certificate: ${this.author} own`];
    await this.add('blog', lines, this.armor);
    const post = (slug, ...more) => [`Date: ${time(this.now)}`, `Slug: ${slug}`, ...more];
    const body = '- A dash\n-- two\nFrom here\n\n-----BEGIN PGP SIGNATURE-----\nसलाम, 你好, سلام';
    const first = await this.add('post', post('first', 'Title: First'), body);
    const second = await this.add('post', post('first', 'Title: First', `Replaces: ${first}`), 'Better words.');
    await this.add('settings', ['Title: A better title', 'Description: What this is']);
    await this.add('post', post('without-words'));
    await this.add('erase', [`Erases: ${first}`, `Erases: ${second}`]);
  }

  write() {
    const about = { about: this.about, maker: `openpgp.js ${version}`, key: this.key, entries: this.entries };
    writeFileSync(join(here, '..', this.name, 'case.json'), `${JSON.stringify(about, null, 2)}\n`);
    if (this.home) {
      execFileSync('gpgconf', ['--homedir', this.home, '--kill', 'all']);
      rmSync(this.home, { recursive: true, force: true });
    }
  }
}

for (const [key, { about, options, gpg, config, detachedOnly }] of Object.entries(KEYS)) {
  for (const detached of detachedOnly ? [true] : [false, true]) {
    const name = `js-${key}${detached ? '-detached' : ''}`;
    const chain = new Chain(name, `${about}; ${detached ? 'detached text signatures' : 'cleartext'}.`, key, detached);
    chain.config = config;
    chain.digestRefused = Boolean(config?.preferredHashAlgorithm); // only SHA-2 is taken
    await chain.open({ ...options, config: { ...options.config, ...config } }, gpg);
    await chain.walk();
    if (detached) {
      chain.binary = true;
      const refused = { verdict: 'refused', reason: 'binary', spec: '5.1', note: 'a binary signature (0x00)' };
      await chain.add('settings', ['Title: Refused'], undefined, refused);
    } else {
      const late = { verdict: 'refused', reason: 'packet-time', spec: '5.5', note: 'a day and a second late' };
      const date = new Date(chain.now.getTime() + 86_401_000);
      await chain.add('settings', ['Title: Refused'], undefined, { ...late, date });
    }
    chain.write();
    console.log(name);
  }
}
