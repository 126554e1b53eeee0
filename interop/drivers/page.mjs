// What both browser drivers run inside the loaded demo page. Each function is sent to the page as
// source text, so it may use nothing from outside itself.

// Presses the demo page's own buttons and reports how each panel ended.
export async function demoPanels() {
  const finished = async (id) => {
    const panel = document.getElementById(id);
    panel.querySelector('button').click();
    const deadline = performance.now() + 20000;
    while (!['done', 'failed'].includes(panel.dataset.state) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return {
      state: panel.dataset.state,
      protocol: panel.dataset.protocol ?? '',
      text: panel.querySelector('.result').textContent,
    };
  };
  return {
    heading: document.querySelector('h1').innerText,
    parallel: await finished('parallel'),
    download: await finished('download'),
    echo: await finished('echo'),
  };
}

// Fetches with the page's own `fetch`, apart from the page's code, and reports the protocol, status
// and SHA-256 of each body.
export async function pageMeasurements() {
  const seen = new Map();
  const observer = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) seen.set(entry.name, entry.nextHopProtocol);
  });
  observer.observe({ type: 'resource', buffered: true });

  const protocolOf = async (url) => {
    const deadline = performance.now() + 3000;
    while (!seen.has(url) && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    return seen.get(url) ?? 'unknown';
  };
  const request = async (path, init = {}) => {
    const url = new URL(path, location.origin).href;
    const response = await fetch(url, { cache: 'no-store', ...init });
    const body = await response.arrayBuffer();
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', body));
    return {
      status: response.status,
      length: body.byteLength,
      type: response.headers.get('content-type') ?? '',
      sha256: [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join(''),
      protocol: await protocolOf(url),
    };
  };

  const sent = Uint8Array.from({ length: 300000 }, (_, i) => (i * 7 + (i >> 8)) % 256);
  return {
    navigation: performance.getEntriesByType('navigation')[0].nextHopProtocol,
    large: await request('/bytes/5000000?measured'),
    post: await request('/echo?measured', {
      method: 'POST', body: sent, headers: { 'content-type': 'application/x-tern-interop' },
    }),
    head: await request('/hello?head', { method: 'HEAD' }),
    missing: await request('/no-such-page'),
    parallel: await Promise.all(
      Array.from({ length: 100 }, (_, i) => request(`/bytes/${1000 + i}?parallel`))),
    resources: Object.fromEntries(await Promise.all(
      ['/style.css', '/app.js', '/tern.svg'].map(async (path) => [path, await request(path)]))),
  };
}

// Fetches one small thing after the other until the browser takes HTTP/3 for it, and reports what each
// came over, the page first.
export async function climb() {
  const seen = [performance.getEntriesByType('navigation')[0].nextHopProtocol];
  const fetched = (url) => new Promise((resolve) => {
    const observer = new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) {
        if (entry.name === url) resolve(entry.nextHopProtocol);
      }
    });
    observer.observe({ type: 'resource' });
    setTimeout(() => resolve('unknown'), 5000);
    fetch(url, { cache: 'no-store' }).then((response) => response.text()).catch(() => {});
  });
  while (seen.length < 40 && seen.at(-1) !== 'h3') {
    seen.push(await fetched(new URL(`/hello?climb=${seen.length}`, location.origin).href));
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return seen;
}
