// What the page computes on.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { open, until } from './harness.mjs';

for (const webgpu of [false, true]) {
  test(`the processor trains where there is ${webgpu ? 'a software GPU only' : 'no GPU'}`, async () => {
    const page = await open({ webgpu });
    const { badge } = await until(page, ({ badge }) => badge !== '');
    assert.equal(badge, 'Processor');
    page.fine();
  });
}
