// Plays the traces of this page. Each player keeps one number, the state it shows; everything drawn follows from it.
(() => {
  'use strict';
  const data = JSON.parse(document.getElementById('data').textContent);
  const speeds = [1, 2, 4, 8, 16, 32];
  const calm = matchMedia('(prefers-reduced-motion: reduce)').matches;

  // The colour of a certainty from 0 to 1, between the scale's stops.
  const colour = (certainty) => {
    const at = Math.min(Math.max(certainty, 0), 1) * (data.stops.length - 1);
    const low = Math.min(Math.floor(at), data.stops.length - 2);
    return data.stops[low].map((from, i) => Math.round(from + (data.stops[low + 1][i] - from) * (at - low)));
  };
  // Black or white, whichever stands out more (WCAG's relative luminance).
  const ink = (rgb) => {
    const [r, g, b] = rgb.map((c) => (c / 255 <= 0.04045 ? c / 3294.6 : ((c / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? '#000' : '#fff';
  };

  // Every state of a trace: tokens, confidences and what its step did; and for each position what happened to it when.
  const unfold = (trace) => {
    const given = new Set(trace.given);
    const histories = Array.from({ length: trace.length }, () => []);
    let tokens = trace.start;
    let sure = tokens.map((_, position) => (given.has(position) ? 1000 : 0));
    let top = [];
    const states = [{ tokens, sure, top, entropy: null, t: 1, written: new Set(), hidden: new Set() }];
    trace.steps.forEach((step, index) => {
      tokens = tokens.slice();
      sure = sure.slice();
      for (const [position, token, confidence] of step.written) {
        tokens[position] = token;
        sure[position] = confidence;
        histories[position].push({ state: index + 1, token, sure: confidence, entropy: step.entropy[position] });
      }
      for (const position of step.hidden) {
        tokens[position] = -1;
        sure[position] = 0;
        histories[position].push({ state: index + 1 });
      }
      if (step.top.length) top = top.slice();
      for (const [position, pairs] of step.top) top[position] = pairs;
      const written = new Set(step.written.map(([position]) => position));
      states.push({ tokens, sure, top, entropy: step.entropy, t: step.t, divergence: step.divergence, written, hidden: new Set(step.hidden) });
    });
    const most = states.reduce((most, state) => (state.entropy || []).reduce((a, b) => Math.max(a, b), most), 0);
    return { given, states, histories, most };
  };

  const visible = (text) =>
    text.replace(/\n/g, '⏎').replace(/\t/g, '⇥').replace(/[\u0000-\u001f\u007f-\u009f]/g, '·');

  const create = (section, trace) => {
    const { given, states, histories, most } = unfold(trace);
    const last = states.length - 1;
    const find = (name) => section.querySelector('.' + name);
    const stage = find('stage');
    const slider = find('step');
    const canvas = section.querySelector('canvas');
    let state = last;
    let timer = null;
    let speed = speeds.find((speed) => last / speed <= 6) || 32;
    let measure = 'confidence';
    let focus = 0;
    let pointed = null;

    const spelled = (token) => {
      if (token === null || token < -1) return '?';
      return trace.vocab ? trace.vocab[token] : token + ' ';
    };
    // How sure the model was, 0 to 1; null where nothing is known.
    const certainty = (at, position) => {
      const now = states[at];
      const masked = now.tokens[position] === -1;
      if (measure === 'confidence') return masked || !now.entropy ? null : now.sure[position] / 1000;
      if (!now.entropy || (masked && now.entropy[position] === 0)) return null;
      return most === 0 ? 1 : 1 - now.entropy[position] / most;
    };
    const look = (at, position) => {
      const now = states[at];
      if (given.has(position)) return 'given';
      if (now.tokens[position] === -1) return now.hidden.has(position) ? 'remasked' : 'masked';
      return now.written.has(position) ? 'fresh' : 'written';
    };

    // Cells keep the places of the finished text, so that nothing jumps while it is written.
    const cells = [];
    let word = null;
    const final = states[last].tokens;
    for (let position = 0; position < trace.length; position += 1) {
      const cell = document.createElement('span');
      cell.tabIndex = position === 0 ? 0 : -1;
      cell.setAttribute('role', 'button');
      cell.dataset.position = position;
      cells.push(cell);
      if (trace.side) {
        stage.append(cell);
        continue;
      }
      cell.style.width = `calc(${trace.widths[position]}ch + 2px)`;
      const text = spelled(final[position]);
      if (!word || text.startsWith(' ')) {
        word = document.createElement('span');
        word.className = 'word';
        stage.append(word);
      }
      word.append(cell);
      if (text.endsWith('\n')) stage.append(document.createElement('br'));
      if (/\s$/.test(text)) word = null;
    }
    if (trace.side) {
      stage.classList.add('square');
      stage.style.setProperty('--side', trace.side);
      stage.style.gridTemplateColumns = `repeat(${trace.side}, auto)`;
    }

    // Numbers that stand twice in a row or column of a square.
    const twice = (tokens) => {
      const found = new Set();
      const side = trace.side || 0;
      for (let a = 0; a < side * side; a += 1) {
        for (let b = 0; b < a; b += 1) {
          const meet = Math.floor(a / side) === Math.floor(b / side) || a % side === b % side;
          if (meet && tokens[a] >= 0 && tokens[a] === tokens[b]) found.add(a).add(b);
        }
      }
      return found;
    };

    const draw = () => {
      const now = states[state];
      const clashes = twice(now.tokens);
      cells.forEach((cell, position) => {
        const is = look(state, position);
        const text = now.tokens[position] === -1 ? '' : visible(spelled(now.tokens[position]));
        const sure = is === 'given' ? null : certainty(state, position);
        cell.className = 'cell ' + is + (clashes.has(position) ? ' twice' : '');
        cell.textContent = text;
        cell.style.background = sure === null ? '' : `rgb(${colour(sure)})`;
        cell.style.color = sure === null ? '' : ink(colour(sure));
        cell.setAttribute('aria-label', text === '' ? `${position}: ${is === 'remasked' ? 'hidden again' : 'masked'}` : `${position}: ${text}`);
      });
      slider.value = state;
      slider.setAttribute('aria-valuetext', `step ${state} of ${last}`);
      const off = now.divergence === undefined ? '' : ` · off ${now.divergence.toFixed(3)} nats`;
      find('place').textContent = `step ${state} of ${last} · t ${now.t.toFixed(3)}${off}`;
      if (trace.side) {
        find('note').textContent = clashes.size
          ? `✗ ${clashes.size} cells share their number with another of their row or column`
          : '✓ no number twice in a row or column';
      }
      const head = find('head');
      head.hidden = state === 0;
      head.style.top = `calc(${((state - 1) / last) * 100}% - 2px)`;
      head.style.height = `calc(${100 / last}% + 4px)`;
      tell();
    };

    // What happened to the cell that is pointed at.
    const tell = () => {
      const position = pointed === null ? focus : pointed;
      const box = find('history');
      const number = (thousandths) => (thousandths / 1000).toFixed(3);
      const lines = histories[position].map((event) =>
        event.token === undefined
          ? `step ${event.state}: hidden again`
          : `step ${event.state}: “${visible(spelled(event.token))}”, confidence ${number(event.sure)}, entropy ${number(event.entropy)} nats`);
      const likeliest = states[state].top[position] || [];
      if (likeliest.length && !given.has(position)) {
        const names = likeliest.map(([token, probability]) => `“${visible(spelled(token))}” ${number(probability)}`);
        lines.push(`likeliest when last looked at: ${names.join(', ')}`);
      }
      const list = document.createElement('ul');
      list.append(...lines.map((line) => Object.assign(document.createElement('li'), { textContent: line })));
      const title = Object.assign(document.createElement('b'), { textContent: `Position ${position}` });
      const entropy = states[state].entropy;
      const masked = states[state].tokens[position] === -1;
      const now = masked && entropy && entropy[position] > 0 ? `, masked now, entropy ${number(entropy[position])} nats` : masked ? ', masked now' : '';
      const start = given.has(position) ? `: given as “${visible(spelled(trace.start[position]))}”` : now;
      box.replaceChildren(title, start, list);
    };

    const paint = () => {
      if (last === 0) return;
      canvas.width = trace.length;
      canvas.height = last;
      const context = canvas.getContext('2d');
      // What nothing is known of stays transparent.
      const image = context.createImageData(trace.length, last);
      for (let at = 1; at <= last; at += 1) {
        for (let position = 0; position < trace.length; position += 1) {
          const sure = certainty(at, position);
          if (sure !== null) image.data.set([...colour(sure), 255], 4 * ((at - 1) * trace.length + position));
        }
      }
      context.putImageData(image, 0, 0);
      canvas.style.height = Math.min(Math.max(last * 14, 60), 360) + 'px';
      const range = measure === 'confidence' ? ['confidence 0', '1'] : [`entropy ${(most / 1000).toFixed(2)}`, '0 nats'];
      find('low').textContent = range[0];
      find('high').textContent = range[1];
    };

    const announce = () => {
      const step = trace.steps[state - 1];
      const changes = step ? `, ${step.written.length} written` + (step.hidden.length ? `, ${step.hidden.length} hidden again` : '') : '';
      find('status').textContent = `Step ${state} of ${last}${changes}`;
    };
    const stop = () => {
      clearInterval(timer);
      timer = null;
      find('play').textContent = '▶';
      find('play').setAttribute('aria-label', 'Play');
    };
    const play = () => {
      if (last === 0) return;
      clearInterval(timer);
      if (state === last) state = 0;
      timer = setInterval(() => {
        state += 1;
        draw();
        if (state === last) {
          stop();
          announce();
        }
      }, 1000 / speed);
      find('play').textContent = '‖';
      find('play').setAttribute('aria-label', 'Pause');
      draw();
    };
    const toggle = () => {
      if (timer) {
        stop();
        announce();
      } else play();
    };
    const go = (to) => {
      stop();
      state = Math.min(Math.max(to, 0), last);
      draw();
      announce();
    };
    const setSpeed = (to) => {
      speed = to;
      find('speed').value = to;
      if (timer) play();
    };
    const setMeasure = (to) => {
      measure = to;
      find('measure').value = to;
      draw();
      paint();
    };
    const move = (to) => {
      if (to < 0 || to >= trace.length) return;
      cells[focus].tabIndex = -1;
      focus = to;
      cells[focus].tabIndex = 0;
      cells[focus].focus();
    };
    // The cell above or below: the nearest of the next line.
    const beside = (direction) => {
      const from = cells[focus].getBoundingClientRect();
      let best = null;
      cells.forEach((cell, position) => {
        const box = cell.getBoundingClientRect();
        const down = (box.top - from.top) * direction;
        if (down < 2) return;
        const distance = down * 1000 + Math.abs(box.left - from.left);
        if (!best || distance < best.distance) best = { position, distance };
      });
      return best ? best.position : focus;
    };

    for (const choice of speeds) find('speed').append(new Option(`${choice}/s`, choice));
    find('speed').addEventListener('change', (event) => setSpeed(Number(event.target.value)));
    find('measure').addEventListener('change', (event) => setMeasure(event.target.value));
    find('play').addEventListener('click', toggle);
    find('back').addEventListener('click', () => go(state - 1));
    find('next').addEventListener('click', () => go(state + 1));
    slider.addEventListener('input', () => go(Number(slider.value)));
    stage.addEventListener('focusin', (event) => {
      if (event.target.dataset.position === undefined) return;
      cells[focus].tabIndex = -1;
      focus = Number(event.target.dataset.position);
      cells[focus].tabIndex = 0;
      pointed = null;
      tell();
    });
    stage.addEventListener('pointerover', (event) => {
      if (event.target.dataset.position === undefined) return;
      pointed = Number(event.target.dataset.position);
      tell();
    });
    stage.addEventListener('pointerleave', () => {
      pointed = null;
      tell();
    });
    const scrub = (event) => {
      const box = canvas.getBoundingClientRect();
      go(Math.floor(((event.clientY - box.top) / box.height) * last) + 1);
    };
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      scrub(event);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (event.buttons) scrub(event);
    });

    const press = (event) => {
      const inCells = event.target.dataset && event.target.dataset.position !== undefined;
      const steps = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (event.key === ' ') toggle();
      else if (event.key === '.') go(state + 1);
      else if (event.key === ',') go(state - 1);
      else if (inCells && steps) move(focus + steps);
      else if (inCells && event.key === 'ArrowDown') move(beside(1));
      else if (inCells && event.key === 'ArrowUp') move(beside(-1));
      else if (steps) go(state + steps);
      else if (event.key === 'Home') go(0);
      else if (event.key === 'End') go(last);
      else if (event.key === '+' || event.key === '=') setSpeed(speeds[Math.min(speeds.indexOf(speed) + 1, speeds.length - 1)]);
      else if (event.key === '-') setSpeed(speeds[Math.max(speeds.indexOf(speed) - 1, 0)]);
      else if (event.key === 'e') setMeasure(measure === 'entropy' ? 'confidence' : 'entropy');
      else return false;
      return true;
    };

    for (const name of ['controls', 'legend', 'history', 'map']) find(name).hidden = name === 'map' && last === 0;
    find('speed').value = speed;
    draw();
    paint();
    if (!calm) {
      state = 0;
      play();
    }
    return { section, press };
  };

  const sections = [...document.querySelectorAll('.player')];
  const players = sections.map((section, index) => create(section, data.traces[index]));
  // Keys go to the player that was used last.
  let active = players[0];
  for (const player of players) {
    for (const name of ['pointerdown', 'focusin']) {
      player.section.addEventListener(name, () => { active = player; });
    }
  }
  document.addEventListener('keydown', (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !active) return;
    const tag = event.target.tagName;
    // Controls keep the keys that are theirs.
    if (tag === 'SELECT' || tag === 'SUMMARY' || (tag === 'BUTTON' && event.key === ' ')) return;
    if (tag === 'INPUT' && /^(Arrow|Home|End|Page)/.test(event.key)) return;
    if (active.press(event)) event.preventDefault();
  });
})();
