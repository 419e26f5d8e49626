//! The longer texts of the help.

/// After `asyncsgd --help`.
pub const MAIN: &str = "\
Examples:
  asyncsgd train                                 the embedded flights, every core
  asyncsgd train a9a.xz --test a9a.t.xz -j 8 --epochs 20
  asyncsgd train data.svm --save model.safetensors --json run.json
  asyncsgd predict --model model.safetensors new.svm > labels.txt
  asyncsgd profile --slow 0:50 --report run.html
  asyncsgd bench --workers 1,2,4 --update cas,racy,locked
  asyncsgd data info data.svm.zst

Results go to standard output, progress and warnings to standard error. The environment
variable ASYNCSGD_KERNEL=scalar does without vector instructions, for comparison.
Exit codes: 0 success, 2 bad usage or bad input, 1 anything else, 130 interrupted.";

/// After `asyncsgd stream --help`.
pub const STREAM: &str = "\
The text is read piece by piece and never held: memory is the parameters, 4 bytes a
feature and 12 more while the model is saved, and some megabytes. Each example is
learnt once a pass, and its loss counts before, so that the mean tells how good the
model was on what it had not seen. Rows that are sorted by label or time are learnt in
that order: shuffle them beforehand. A bad line ends the stream with an error, and what
was learnt before it is saved.

With --cache the text is parsed once, before all passes, and the rows are read from a
file of 8 bytes a nonzero and a row, again a piece at a time.

Examples:
  asyncsgd stream clicks.svm.zst --save clicks.safetensors
  asyncsgd stream clicks.svm.zst --passes 5 --cache /scratch --save clicks.safetensors
  produce | asyncsgd stream - --features 1000000 --rate 0.1 --save model.safetensors";

/// After `asyncsgd train --help`.
pub const TRAIN: &str = "\
Rules for --step, the weight w(τ) of a gradient that is τ updates late; C is the
concurrency: the number of workers, or RULE@16 for another one, or RULE@online
for one that is learnt from the delays:
  delay-adaptive    min(1, C/τ), keeps at least half of all steps' length
  constant          1
  drop:M            1 up to τ = M (16, or 4n for 4C), then 0; M ≥ 2C
  inverse:A         (1 + τ)^-A
  koloskova:L       min(1, 1/(4Lητ)), L the smoothness
  ringmaster:R      1 below τ = R (16 or 4n), else ignored and not counted
  fleet             exp(-βτ), 1/(1 + τ) at τ = (C + 1)/2
  tail:A            1 + A(1 - 2F(τ)), F the distribution of the delays
In blocks delay-adaptive acts coordinate by coordinate, and the others scale a whole
difference that is weighted for C workers: even constant keeps less than 1 there.
Blocks that copy nothing (of word vectors, of few ratings, with --hot 0) take each step on
fresh parameters, without weight; rules but these two send each update on its own there.
These set the step themselves, without --rate, --schedule and blocks:
  budget1:G[,A]     A·max(0, G - S), S the steps taken since the read
  budget2:G         G/(τ + 1) while the steps since the read leave so much of G
  adadelay:L,C      1/(L + C·√(t + τ))

Algorithms for --algorithm:
  sgd               asynchronous stochastic gradient descent
  adagrad           a step length for each coordinate, by its squared gradients so far
                    and whatever the feature's unit, times the weight of --step:
                    nearer than sgd after a few epochs where features differ much in
                    frequency or scale; not for the last digits
  svrg              variance-reduced gradients, a step length for each coordinate:
                    linear convergence also with an L1 penalty; each epoch has a second,
                    parallel pass
  saga              the same without the second pass, but each step also writes a mean
                    gradient that is shared: for one worker, or updates sent directly
  sdca              stochastic dual coordinate ascent on the same shared parameters:
                    no rate, linear convergence; soonest where rows are short,
                    ‖x‖² small against l2·rows, such as text
  newton            an epoch or two of sgd, then Newton's method
--target-gap G stops when duality proves that the objective is at most 1 + G times
its minimum: it needs a penalty and no intercept, and with hinge loss no L1 penalty.

Models for --model; labels may be any numbers, each a class:
  linear            with --loss
  softmax           multinomial logistic regression, --l2 1/rows unless said
  mlp:784-128-10    layers of these sizes, with biases, rectifiers between them (or
                    mlp:784-128-10,tanh) and the softmax of the outputs, or with
                    --loss squared one output that is a number; without penalty
                    unless --l2 is said. Try --batch 64
  mf:32             factors of ratings, with biases; nmf:32 without and none below 0.
                    DATA has user, item and rating on each line, separated by ::, a
                    tab, a comma, a semicolon or blanks, or is a MatrixMarket file;
                    --l2 0.03 unless said, by how often a user or item is rated
  fm:8              factorization machine of LIBSVM rows with --loss, --l2 1/rows
  ffm:4             the same with factors for each field, of LIBFFM rows
                    (label field:feature:value ...), which are scaled to length 1
  skipgram:100      word vectors by negative sampling; DATA is text. Also with
                    skipgram:100,window=5,negatives=5,sample=0.0001,min-count=5
                    --save also writes word2vec's text (.vec, .txt) and binary (.bin)
--optimizer momentum:0.9 or adam keeps means of each worker's own gradients, one or two
numbers a parameter, and each step goes through all of them, however few the gradient
has: for networks with --batch, not for sparse rows with many features. Asynchrony acts
like momentum by itself: with n workers like 1 - 1/n.
--update leashed is for consistent reads: a gradient is computed from one state of all
parameters and applied to one, with an exact delay; after RETRIES (16) lost exchanges it
is dropped.

Data are told apart by their content:
  LIBSVM text       label index:value …
  CSV               commas, semicolons or tabs; a header where a field is no number.
                    Labels may be names of classes
  .npy, .npz        rows, of any dimensions; X and y; or a CSR matrix as scipy's save_npz
                    writes it
  idx               the MNIST files
  MatrixMarket      coordinate or array, with --labels
Bytes (idx, .npy of type u1) become shares of 1. Test rows have the columns of the training
rows, in any order where they have names, and --missing mean fills them with the means of
the training data's file; a saved model keeps names, means and classes for predict.

--l2 A..B is a path, three to a power of ten; A..B:N has N. Models are trained from
strong to weak, each from the one before; the best on held-out rows is saved. With
--folds it is chosen by cross-validation and then trained on all rows. Labels with
more than two values are classes, each trained against the rest.

Schedules for --schedule, the factor on the rate after t epochs:
  constant          1
  inverse-time:D    1/(1 + Dt)
  inverse-sqrt:D    1/√(1 + Dt)
  cosine:E          (1 + cos(πt/E))/2
  warmup:W[,S]      t/W up to epoch W, then schedule S from its start

Examples:
  asyncsgd train
  asyncsgd train a9a.xz --test a9a.t.xz --epochs 20 --workers 8
  asyncsgd train news20.xz --test-fraction 0.2 --update racy --block 1
  asyncsgd train data.svm --step drop:4n --rate 0.1 --schedule inverse-sqrt:1
  asyncsgd train housing.svm --loss squared --intercept --save house.model
  asyncsgd train data.svm --time-limit 30s --target-objective 0.33 --json run.json
  asyncsgd train data.svm --target-gap 1e-3
  asyncsgd train wine.csv --label quality --model softmax --test-fraction 0.3
  asyncsgd train train-images-idx3-ubyte.gz --test t10k-images-idx3-ubyte.gz \\
    --model mlp:784-128-10 --batch 64
  asyncsgd train ratings.csv --model mf:32 --test-fraction 0.1 --save ratings.safetensors
  asyncsgd train data.svm --l1 1e-4 --target-gap 1e-4
  asyncsgd train data.svm --epochs 100 --checkpoint run.ckpt --checkpoint-every 30s
  asyncsgd train --resume run.ckpt --save model.safetensors
  asyncsgd train data.svm --l2 1e-6..1e-3 --folds 5 --save best.safetensors
  asyncsgd train rare.svm --class-weight balanced --scale std

A checkpoint takes its file's place when all of it is on disk: a kill or a crash
leaves the last one. --resume goes on by the options in the file, with one worker to
the same bits (word vectors draw their negatives anew). Other data, another version or
other options of what is computed are refused; --save, --json, --time-limit and such
may be new, and so may the places of the data, which are known by what is in them.

Ctrl-C ends training; what was learnt is reported and saved. Another one, a second later
or more, aborts. So do the signals TERM and HUP, which nohup and such may ignore.";

/// After `asyncsgd predict --help`.
pub const PREDICT: &str = "\
Classifiers predict the labels that they were trained with, models of numbers a
number. --probability and --scores of models with more than two classes print a
number for each class, in the order of the labels. Where the data have labels that
the model knows, metrics are told on standard error, and by linear classifiers and
networks how well each class is predicted.

Columns of CSV are told by their names, in any order, where the model was trained on
some; --missing mean takes the means of its training data's file.

Of a file of ratings, or of a user and an item on each line, their predictions are
printed, with --top the best items of each of its users that it does not name. A first
line of which the model knows neither is a header; that is told if it knows no user or
item of the next one. For word vectors, a line of one word asks for its neighbours, one
of three or four for the word that is to the third as the second is to the first; a colon
and words are a heading.

Examples:
  asyncsgd predict --model model.safetensors new.svm > labels.txt
  asyncsgd predict --model liblinear.model --scores new.svm.xz
  asyncsgd predict --model ratings.safetensors --top 10 pairs.csv
  cat new.svm | asyncsgd predict --model m.safetensors --probability - | head";

/// After `asyncsgd simulate --help`.
pub const SIMULATE: &str = "\
Speed laws for --speeds, the virtual seconds of a gradient: factors joined by *,
and perhaps + another product, the communication:
  fixed:T  list:T,T,…  speeds:A..B (the first to the last worker)
  uniform:T,SPREAD  exp:MEAN  shifted-exp:SHIFT,MEAN  lognormal:MEDIAN,SIGMA
  pareto:SHAPE[,SCALE]  straggler:FACTOR[,WORKERS]  half:FACTOR
  on-off:ON,OFF  wave:AMPLITUDE,PERIOD  sample (in proportion to a row's length)
Workers with laws of their own: LAW/LAW/…, and COUNTxLAW for so many of them

Algorithms for --algorithm:
  async             each gradient is applied when it arrives
  async-stop        and jobs are stopped once their result would be ignored
  minibatch         all workers at the same parameters, their mean when all are done
  rennala:B         the mean of the first B gradients at the same parameters
  ringleader        the mean of each worker's mean gradient
  fedbuff:K         the mean of K gradients, each with its weight
  dc:LAMBDA         async, gradients compensated for the parameters' change
  blocks:M[,HOW]    M local steps, published whole, by average or adaptive

Examples:
  asyncsgd simulate --quadratic 20 --speeds straggler:100 --target 1e-3 --tune
  asyncsgd simulate --workers 8 --algorithm blocks:256 --epochs 3
  asyncsgd simulate a9a.xz --partition dirichlet:0.1 --assignment random
  asyncsgd simulate --quadratic 1000 --workers 10000 --speeds pareto:1.5
  asyncsgd simulate --quadratic 20 --workers 4 --speeds 3xfixed:1/exp:20";

/// After `asyncsgd reproduce --help`.
pub const REPRODUCE: &str = "\
Claims:
  identity             the mean delay is workers - 1, for any speeds
  rates                how time depends on the longest delay
  minibatch            asynchronous against mini-batch SGD, on many speeds
  drop                 why dropping late gradients fails and damping does not
  heterogeneous        bias and floors when workers have different data
  ringmaster           Ringmaster, Rennala and delay-adaptive steps
  stability            when a constant delay diverges
  sample-cost          the bias of delay-adaptive steps by samples' cost
  blocks               how much of a block's difference may be published
  engine-vs-simulator  a real run's delays, replayed
  all

Exits with 1 where a measured value leaves its tolerance.";

/// After `asyncsgd profile --help`.
pub const PROFILE: &str = "\
Trains as asyncsgd train does, with the same rules and schedules (see its help), and
times a sample of the updates. On a terminal the delays are shown while training
goes on; q ends it and keeps everything.

Delay τ: other updates begun, and not known to be complete, when the parameters were
read. Per update a worker that was held back for a second shows as one long delay;
weighted by time it counts for as long as its gradient was in flight.

After a run with --update racy comes one of at most a second in which every addition
is 1: what the parameters then lack was lost.

Examples:
  asyncsgd profile --slow 0:50
  asyncsgd profile --stall 1:1s:500ms
  asyncsgd profile --jitter pareto:1.5 --workers 8
  asyncsgd profile a9a.xz --workers 8 --report run.html --profile run/
  asyncsgd profile --compare constant,delay-adaptive,drop:4n --slow 0:50
  asyncsgd profile show run/delays.hlog other/delays.hlog";

/// After `asyncsgd bench --help`.
pub const BENCH: &str = "\
Every combination of the lists is a case. One worker, racy, direct is always run beside
them: the reference. Cases take turns in an order that is drawn anew for each repeat,
so that what changes in the machine meets all of them; speed-ups are medians of ratios
of the same repeat. Times are training time: without loading, starting threads, and
evaluating the objective. Beside them stands the quality on the held-out rows, or on the
training rows, of each case's last run. --model takes every model of asyncsgd train.
One worker alone loses nothing by a load and a store: as cas it runs as it does as racy.

Before and after the runs two threads pass a cache line to and fro; what several
workers cost each other is a multiple of the time that takes. Warnings tell where
the machine was busy, and where runs are too short or times spread too far.

A kept result (--save-baseline) is compared by the median of all ratios of times now to
then, with a 95 % interval by ranks (at least 4 repeats in both): faster or slower
where it lies beyond 2 %, the same where it lies within, else unclear, and always
unclear where the machine was busy. Times are taken in units of a plain loop, the same in
all versions, that is run before each repeat: a virtual machine can be twice as slow as
an hour ago. Where that loop takes a quarter more or less there is no verdict either.

Examples:
  asyncsgd bench
  asyncsgd bench rcv1.xz --workers 1,2,4 --update cas,racy,locked --block auto,1
  asyncsgd bench --target-gap 0.05 --repeats 10 --csv runs.csv --report bench.html
  asyncsgd bench train-images-idx3-ubyte.gz --test t10k-images-idx3-ubyte.gz \\
    --model mlp:784-128-10 --batch 64 --workers 1,2
  asyncsgd bench --save-baseline before
  asyncsgd bench --baseline before
  asyncsgd bench roofline data.svm";

/// After `asyncsgd bench roofline --help`.
pub const ROOFLINE: &str = "\
Measured: memory bandwidth; additions to shared floats; what the clock, the step rule and
the recorder of delays take for an update; dense loops over shared floats against the
same over plain ones; a pass of logistic regression over the data on plain floats by one
thread, and how much of it training reaches, and of what the bandwidth and a
compare-exchange for each value would allow (more than 1 where blocks spare them); and
what cache lines that travel between two workers cost in blocks of several sizes, against
a model of how many there are. The model then tells what to expect of more workers; the
library's documentation (asyncsgd::roofline) has its formulas.";
