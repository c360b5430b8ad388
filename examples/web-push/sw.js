// Shows what the server sends to this browser, and tells it what became of that.
// Registered as `sw.js?server=<https://…>&app=<application id>`.
const given = new URL(self.location).searchParams;

self.addEventListener('push', (event) => event.waitUntil(show(event.data.json())));
self.addEventListener('notificationclick', (event) => event.waitUntil(open(event)));
self.addEventListener('notificationclose', (event) => event.waitUntil(tell(event.notification.data.receipt, 'dismissed')));

async function show(said) {
  const text = typeof said.alert === 'object' && said.alert !== null ? said.alert : { title: said.title, body: said.alert };
  await self.registration.showNotification(text.title ?? '', {
    body: text.body ?? '',
    // A push that is repeated, since nobody knew whether it had arrived, takes the place of the first one.
    tag: said.push_id,
    image: said.image,
    actions: (said.buttons ?? []).slice(0, 2).map(({ id, title }) => ({ action: id, title })),
    data: { link: said.uri, buttons: said.buttons ?? [], receipt: said.receipt },
  });
  await tell(said.receipt, 'delivered');
}

async function open({ notification, action }) {
  const { link, buttons, receipt } = notification.data;
  notification.close();
  await tell(receipt, 'opened');
  const leads = buttons.find(({ id }) => id === action)?.link ?? link;
  if (leads) await self.clients.openWindow(leads);
}

async function tell(receipt, kind) {
  if (!receipt) return; // Only what campaigns send has one.
  await fetch(`${given.get('server')}/api/v1/receipts`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', 'X-Parse-Application-Id': given.get('app') },
    body: JSON.stringify({ receipts: [{ receipt, kind }] }),
  });
}
