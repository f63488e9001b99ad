"""Results on what single units are needed for, how gates begin, and other cells: as `results.py` has the others."""

from lstm_probe.reproduce import ablating, cells, remembering
from lstm_probe.reproduce.result import Measure, Result

_EVIDENCE = "The task `evidence` with 5 classes, 32 units"

FURTHER = (
    Result(
        "zero_ablation", "Zero ablation makes units look specific to a number that are not",
        "Lu, Mardziel, Leino, Fredrikson & Datta 2020, on Lakretz and others 2019",
        "two units that zero ablation shows as specific to one number are not",
        "A language model of 8 units on the sentences of `agreement`; the verbs whose number it gets right, 2,000"
        " sentences. A unit looks specific to a number if clamping its c costs 10 % of that number's verbs or more (5 %"
        " resampled, where half of the values come from the same number), and at most half as many of the other's",
        (Measure("gone_resample", "specific by zero, not by other sequences' values", "both units", 1.0, least=0.5),
         Measure("specific_zero", "units specific by zero", "2", least=1, high=8.0),
         Measure("specific_mean", "units specific by their mean", high=8.0),
         Measure("specific_resample", "units specific by other sequences' values", high=8.0),
         Measure("gone_mean", "specific by zero, not to that number by the mean"),
         Measure("turned", "specific by zero, to the other number by the mean"),
         Measure("used", "specific by zero, resampling costs 5 % of all verbs"),
         Measure("disagree", "units whose cost to the next word differs by mode", high=8.0),
         Measure("right", "verbs right, of the worse number", "solved", least=0.9)),
        ablating.zero_ablation, 8, needed=0.5,
    ),
    Result(
        "selectivity", "How selective a unit is says little about what it costs",
        "Morcos, Barrett, Rabinowitz & Botvinick 2018; Zhou, Sun, Bau & Torralba 2018",
        "class selectivity is a poor predictor of what a unit costs overall, and a good one for single classes",
        f"{_EVIDENCE}. Rank correlations over units of the effect of c on the class at the end (2·AUROC − 1, held out)"
        " with what clamping c to its mean costs, on 2,000 other sequences. Poor: within ±0.5",
        (Measure("classes", "effect on a class, and its cost; mean of 5", "good", least=0.5, low=-1.0),
         Measure("overall", "effect on the class, and cost overall", "poor", least=-0.5, most=0.5, low=-1.0),
         Measure("own", "the same of each unit's own class", "good", least=0.3, low=-1.0),
         Measure("same", "units whose own class loses most; chance 0.2"),
         Measure("own_lost", "what a unit's own class loses", "much", low=-1.0),
         Measure("other_lost", "what the other classes lose", "little", low=-1.0),
         Measure("weighted", "own class, by readout weight times difference of h", low=-1.0),
         Measure("right", "answers right", "solved", least=0.95)),
        ablating.selectivity, 10, needed=0.5,
        tried="What a unit tells of classes says well for which of them it is needed, and not how much: the effect"
        " knows nothing of how strongly the readout weighs the unit. Weight times difference of mean h does.",
    ),
    Result(
        "label_units", "A label's own units are needed for it, an arbitrary unit hardly", "Xin, Lin & Yu 2019",
        "dropping an arbitrary neuron hardly matters; dropping a label's own ones degrades that label",
        f"{_EVIDENCE}. A label's own are the 4 units that raise its logit most where it is right (readout weight times"
        " difference of mean h), on 1,000 sequences; c clamped to its mean on 1,000 others. Random: 50 sets of 4",
        (Measure("beyond", "loss by own units above that by random ones", "much", least=0.25, low=-1.0),
         Measure("own", "accuracy that labels lose without their own units", "much", low=-1.0),
         Measure("random", "without as many random units", "less", low=-1.0),
         Measure("beats", "random sets that cost the label less", least=0.9),
         Measure("apart", "own label's loss above the others', the least of 5", "much", least=0.1, low=-1.0),
         Measure("others", "accuracy that the other labels lose", "less", low=-1.0),
         Measure("alone", "accuracy lost without an arbitrary unit", "little", most=0.1, low=-1.0),
         Measure("right", "answers right", "solved", least=0.95)),
        ablating.label_units, 10, needed=0.5,
    ),
    Result(
        "chrono", "Gates that begin open learn long delays sooner", "Tallec & Ollivier 2018",
        "forget biases log u, u uniform in 1 to T − 1, and input biases −log u learn longer delays, and sooner",
        "The adding problem over 200 steps, 32 units, at most 2,000 updates of 32, alike but for the start: chrono,"
        " PyTorch's own, and the latter with a forget bias of 1. That PyTorch's start can learn the task is checked on"
        " 20 steps",
        (Measure("gain", "R² of chrono above that of PyTorch's start", "sooner", least=0.5, low=-1.0),
         Measure("r2_chrono", "R² of the sum, chrono", "learned", 1.0, least=0.95),
         Measure("r2_torch", "R² of the sum, PyTorch's start", "later", most=0.5),
         Measure("r2_bias_1", "R² of the sum, forget bias 1", "later"),
         Measure("r2_short", "R² of PyTorch's start over 20 steps", "learned", 1.0, least=0.95),
         Measure("updates", "updates that chrono took", high=2000)),
        remembering.chrono, 50, needed=0.5,
    ),
    Result(
        "counters", "A GRU does not count without bound, an LSTM does", "Weiss, Goldberg & Yahav 2018",
        "LSTMs learn to count with c, which grows by a constant with each symbol; a GRU's h is bounded, and it fails on"
        " shorter strings than the LSTM",
        "a^n b^n, 10 units, 6,000 updates on n up to 50; the smallest n up to 256 that is not right at every step (257:"
        " none). Growth: the memory of the unit closest to the count, after 256 a's by that after 64",
        (Measure("growth_lstm", "how much more the LSTM's counter holds of 4 times as many", "4", 4, least=2.5,
                 high=1e3),
         Measure("growth_gru", "the GRU's", "bounded", most=1.5, high=1e3),
         Measure("further", "the LSTM's first failure by the GRU's", "further", least=1.01, high=257.0),
         Measure("failure_lstm", "smallest n that an LSTM fails", high=257),
         Measure("failure_gru", "smallest n that a GRU fails", high=257),
         Measure("failure_rnn", "smallest n that a plain network fails", high=257)),
        cells.counters, 60, needed=0.5,
    ),
    Result(
        "continual", "Without a forget gate memories grow in endless streams", "Gers, Schmidhuber & Cummins 2000",
        "without forget gates cell states grow without bound in continual input, and what was learned breaks down",
        "Embedded Reber strings without a break, 8 units, 4,000 updates of 32 streams of 80 to 100 symbols, tested on"
        " 1,000 symbols. Grown: mean of |c| after 900 symbols by that after 50",
        (Measure("grown_no_forget", "growth without a forget gate", "grows", least=5.0, high=1e3),
         Measure("grown_full", "growth with one", "does not", most=2.0, high=1e3),
         Measure("size_no_forget", "mean of |c| after 900, without", high=1e6),
         Measure("size_full", "mean of |c| after 900, with", high=1e6),
         Measure("right_no_forget", "symbols right after 900, without"),
         Measure("right_full", "symbols right after 900, with")),
        cells.continual, 40, needed=0.5,
        tried="Memories grow by the same amount with each symbol, and what was learned does not break down here: of"
        " three networks without a forget gate all were as right after 10,000 symbols as after 500, with a mean of |c|"
        " of 8,000.",
    ),
    Result(
        "forget_gate", "Of all parts of an LSTM, the forget gate is missed most",
        "Greff, Srivastava, Koutník, Steunebrink & Schmidhuber 2017",
        "on speech, handwriting and music, the forget gate and the output activation are the most critical parts",
        "Three bits in 8 units after 600 updates, by LSTMs that lack one thing each: the share of the bits' variance"
        " that is not told. Speech, handwriting and music were not tried",
        (Measure("times", "left without a forget gate, by the most without another part", "most", least=1.5, high=1e6),
         Measure("left_full", "not told by the full LSTM"),
         Measure("left_forget", "without a forget gate"),
         Measure("left_squash", "without an output activation", "much"),
         Measure("left_linear", "without an input activation"),
         Measure("left_input", "without an input gate"),
         Measure("left_output", "without an output gate"),
         Measure("left_coupled", "with a forget gate that is 1 − input gate")),
        cells.forget_gate, 45, needed=0.5,
        tried="Little is missed of any part, and the output activation is not missed at all. On `tracking` (40 steps,"
        " 16 units, 1,000 updates) nothing was lost without a forget gate, nor on Reber strings without a break.",
    ),
)  # fmt: skip
