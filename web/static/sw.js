// Keeps the playground, so that the next visit needs no network.
'use strict';
const KEPT = 'crossover-{{version}}';
const FILES = [/* files */];

self.addEventListener('install', (event) => {
  event.waitUntil(caches.open(KEPT).then((cache) => cache.addAll(FILES)));
});

self.addEventListener('activate', (event) => {
  const old = (name) => name.startsWith('crossover-') && name !== KEPT;
  const drop = async () => {
    await Promise.all((await caches.keys()).filter(old).map((name) => caches.delete(name)));
    await self.clients.claim();
  };
  event.waitUntil(drop());
});

// The first page comes from the network where there is one, so that it is never an old one; everything that it names holds
// a hash of its content, and can be taken from what is kept.
const page = async (request) => {
  try {
    const response = await fetch(request);
    if (response.ok) return response;
  } catch {
    // No network.
  }
  return (await caches.match('./', { ignoreSearch: true })) ?? Response.error();
};
const file = async (request) => (await caches.match(request, { ignoreSearch: true })) ?? fetch(request);

self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method !== 'GET' || new URL(request.url).origin !== location.origin) return;
  event.respondWith(request.mode === 'navigate' ? page(request) : file(request));
});
