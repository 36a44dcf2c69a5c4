"""The peer: our decoder in PyTorch, trained or writing, to be timed beside `crossover bench`.

The same architecture (RMSNorm, rotary positions, normalised queries and keys, SwiGLU, no biases, untied embeddings), the same
work, random tokens, initial weights. PyTorch as one uses it: one product for queries, keys and values and one for gate and up,
`scaled_dot_product_attention`, `torch.optim.AdamW`, a key-value cache that is allocated once, `inference_mode` where nothing is
trained. On a GPU f32 is multiplied by TF32 (`set_float32_matmul_precision('high')`), as burn's products are there, and halves
come by `autocast`, f16 with `GradScaler`. Prints one line of JSON:

    torch                     PyTorch's version
    parameters                of the model
    seconds                   training: the median step; writing: the fastest round
    tokens_per_second         tokens trained, or written, in those seconds
    matmul_flops_per_second   the fastest of several products of two matrices of 1,024 rows and columns (4,096 on a GPU), FLOP/s
    peak_memory_bytes         largest resident memory of this process

`crossover bench` starts it by itself with a Python that has torch; its `--help` says with which flags.
"""
import argparse
import json
import resource
import statistics
import time

import torch
import torch.nn.functional as F
from torch import nn

EPS = 1e-6
WARM_UP = 3


class Attention(nn.Module):
    def __init__(self, hidden_size, heads):
        super().__init__()
        self.heads, head_dim = heads, hidden_size // heads
        self.projection = nn.Linear(hidden_size, 3 * hidden_size, bias=False)
        self.output = nn.Linear(hidden_size, hidden_size, bias=False)
        self.query_norm, self.key_norm = nn.RMSNorm(head_dim, eps=EPS), nn.RMSNorm(head_dim, eps=EPS)

    def forward(self, x, angles, causal, memory=None, position=0):
        """[batch, length, hidden_size] -> the same. With a memory, `x` is the one token at `position`."""
        batch, length, width = x.shape
        projected = self.projection(x).view(batch, length, 3, self.heads, width // self.heads)
        queries, keys, values = projected.permute(2, 0, 3, 1, 4)
        queries, keys = turned(self.query_norm(queries), angles), turned(self.key_norm(keys), angles)
        if memory is not None:
            memory[0][:, :, position], memory[1][:, :, position] = keys[:, :, 0], values[:, :, 0]
            keys, values = memory[0][:, :, : position + 1], memory[1][:, :, : position + 1]
            causal = False
        mixed = F.scaled_dot_product_attention(queries, keys, values, is_causal=causal)
        return self.output(mixed.transpose(1, 2).reshape(batch, length, width))


def turned(x, angles):
    cosine, sine = angles
    a, b = x.chunk(2, -1)
    return torch.cat([a * cosine - b * sine, b * cosine + a * sine], -1)


class Block(nn.Module):
    def __init__(self, hidden_size, intermediate_size, heads):
        super().__init__()
        self.attention_norm, self.feed_forward_norm = nn.RMSNorm(hidden_size, eps=EPS), nn.RMSNorm(hidden_size, eps=EPS)
        self.attention = Attention(hidden_size, heads)
        self.gate_up = nn.Linear(hidden_size, 2 * intermediate_size, bias=False)
        self.down = nn.Linear(intermediate_size, hidden_size, bias=False)

    def forward(self, x, *rest):
        x = x + self.attention(self.attention_norm(x), *rest)
        gate, up = self.gate_up(self.feed_forward_norm(x)).chunk(2, -1)
        return x + self.down(F.silu(gate) * up)


class Decoder(nn.Module):
    def __init__(self, a):
        super().__init__()
        self.embedding = nn.Embedding(a.vocab_size, a.hidden_size)
        self.blocks = nn.ModuleList(Block(a.hidden_size, a.intermediate_size, a.heads) for _ in range(a.layers))
        self.norm = nn.RMSNorm(a.hidden_size, eps=EPS)
        self.head = nn.Linear(a.hidden_size, a.vocab_size, bias=False)
        head_dim = a.hidden_size // a.heads
        frequencies = 10_000.0 ** (-torch.arange(0, head_dim, 2) / head_dim)
        angles = torch.arange(a.length)[:, None] * frequencies[None]
        self.register_buffer('cosine', angles.cos())
        self.register_buffer('sine', angles.sin())
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def forward(self, tokens, causal):
        """Ids [batch, length] -> logits [batch, length, vocab_size]."""
        x = self.embedding(tokens)
        for block in self.blocks:
            x = block(x, (self.cosine, self.sine), causal)
        return self.head(self.norm(x))

    def step(self, tokens, position, memories):
        """One id of each sequence, [batch, 1], at `position` -> logits [batch, vocab_size]."""
        x = self.embedding(tokens)
        angles = self.cosine[position : position + 1], self.sine[position : position + 1]
        for block, memory in zip(self.blocks, memories):
            x = block(x, angles, False, memory, position)
        return self.head(self.norm(x))[:, 0]


DTYPES = {'f32': torch.float32, 'bf16': torch.bfloat16, 'f16': torch.float16}


def halves(a):
    """Products in half precision, where that was asked for."""
    return torch.autocast(a.device, dtype=DTYPES[a.precision], enabled=a.precision != 'f32')


def loss_of(model, tokens, objective, mask_id):
    if objective == 'ar':
        inputs = torch.cat([torch.full_like(tokens[:, :1], mask_id), tokens[:, :-1]], 1)
        return F.cross_entropy(model(inputs, True).transpose(1, 2), tokens)
    # Exactly l of L tokens are masked, l stratified over the batch, and weigh L/l.
    batch, length = tokens.shape
    masked = ((torch.rand(()) + torch.arange(batch) / batch) % 1 * length).floor().long() + 1
    hidden = torch.rand(tokens.shape).argsort(1).argsort(1) < masked[:, None]
    nats = F.cross_entropy(model(torch.where(hidden, mask_id, tokens), False).transpose(1, 2), tokens, reduction='none')
    return ((nats * hidden).sum(1) / masked).mean()


def finish(a):
    """Waits for the device: a GPU computes while Python goes on."""
    if a.device == 'cuda':
        torch.cuda.synchronize()


def train(model, a):
    """Seconds of each timed step."""
    called = torch.compile(model) if a.compile else model
    matrices = [p for p in model.parameters() if p.dim() > 1]
    scales = [p for p in model.parameters() if p.dim() < 2]
    groups = [dict(params=matrices, weight_decay=0.1), dict(params=scales, weight_decay=0.0)]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95))
    scaler = torch.amp.GradScaler(a.device, enabled=a.precision == 'f16')
    tokens = torch.randint(0, a.vocab_size - 1, (a.batch, a.length))
    seconds = []
    for step in range(WARM_UP + a.steps):
        began = time.perf_counter()
        with halves(a):
            loss = loss_of(called, tokens, a.objective, a.vocab_size - 1)
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()
        # Waits for all of the step, on a GPU too.
        loss.item()
        if step >= WARM_UP:
            seconds.append(time.perf_counter() - began)
    return seconds


def drawn(logits):
    """One id of each row, and its probability; MASK, the last id, is never drawn."""
    probabilities = logits[..., :-1].softmax(-1)
    ids = torch.multinomial(probabilities.view(-1, probabilities.shape[-1]), 1).view(probabilities.shape[:-1])
    return ids, probabilities.gather(-1, ids[..., None])[..., 0]


@torch.inference_mode()
def decode(model, a):
    """Writes `batch` windows left to right, each token read once."""
    shape = a.batch, a.heads, a.length, a.hidden_size // a.heads
    memories = [(torch.zeros(shape), torch.zeros(shape)) for _ in model.blocks]
    tokens = torch.full((a.batch, 1), a.vocab_size - 1)
    written = []
    for position in range(a.length):
        tokens = drawn(model.step(tokens, position, memories))[0][:, None]
        written.append(tokens)
    return torch.cat(written, 1)


@torch.inference_mode()
def denoise(model, a):
    """Writes `batch` windows in `denoising_steps` steps, each of which keeps the tokens it is most confident of."""
    mask_id, steps = a.vocab_size - 1, a.denoising_steps
    tokens = torch.full((a.batch, a.length), mask_id)
    for step in range(steps):
        masked = tokens == mask_id
        ids, confidence = drawn(model(tokens, False))
        confidence = torch.where(masked, confidence, -1.0)
        due = a.length * (step + 1) // steps - a.length * step // steps
        chosen = confidence.topk(due, 1).indices
        tokens.scatter_(1, chosen, ids.gather(1, chosen))
    return tokens


def write(write_once, model, a):
    """Seconds of each round, after one to warm up."""
    seconds = []
    for _ in range(1 + a.steps):
        began = time.perf_counter()
        written = write_once(model, a)
        finish(a)
        seconds.append(time.perf_counter() - began)
        assert (written < a.vocab_size - 1).all()
    return seconds[1:]


def matmul_peak(a):
    size = 1024 if a.device == 'cpu' else 4096
    left, right = (torch.rand(size, size).to(DTYPES[a.precision]) for _ in range(2))
    fastest = float('inf')
    for _ in range(8):
        began = time.perf_counter()
        left @ right
        finish(a)
        fastest = min(fastest, time.perf_counter() - began)
    return 2 * size**3 / fastest


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('work', choices=['train', 'decode', 'denoise'])
    parser.add_argument('--objective', choices=['ar', 'masked'], default='ar', help='what is trained')
    parser.add_argument('--device', choices=['cpu', 'cuda'], default='cpu')
    parser.add_argument('--precision', choices=['f32', 'bf16', 'f16'], default='f32', help='of products in training')
    parser.add_argument('--compile', action='store_true', help='train through torch.compile')
    for name, default in dict(hidden_size=128, intermediate_size=352, layers=4, heads=4, vocab_size=66, batch=8,
                              length=64, steps=20, denoising_steps=64, threads=2).items():
        parser.add_argument('--' + name.replace('_', '-'), type=int, default=default, metavar='N')
    a = parser.parse_args()
    torch.manual_seed(1)
    torch.set_num_threads(a.threads)
    torch.set_default_device(a.device)
    if a.device == 'cuda':
        torch.set_float32_matmul_precision('high')
    model = Decoder(a)
    if a.work == 'train':
        seconds = statistics.median(train(model, a))
    else:
        seconds = min(write({'decode': decode, 'denoise': denoise}[a.work], model, a))
    kibibytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(dict(
        torch=torch.__version__,
        parameters=sum(parameter.numel() for parameter in model.parameters()),
        seconds=seconds,
        tokens_per_second=a.batch * a.length / seconds,
        matmul_flops_per_second=matmul_peak(a),
        peak_memory_bytes=kibibytes * 1024,
    )))


main()
