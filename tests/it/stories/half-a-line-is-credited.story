# One VM for 60 min: 0.36 net and 0.07 tax. Half of the line is given back: 0.18 net, 0.04 tax
# (0.036 to the cent). The invoice stands as it is; the note is a document of its own.
files: common.toml flat.toml alice.toml
top-up alice 1.00           | 1.000000 0 0
deploy alice vm1 at 0       | 0.568000 0.432000 0
runs alice vm1 at 0         | 0.568000 0.432000 0
destroy alice vm1 at 60     | 0.568000 0 0.432000
invoice alice at 70         | 0.570000 0 0
credit alice vm 0.5 at 80   | 0.790000 0 0
books house revenue.compute 0.180000
books house tax.XX.20 0.030000
books house clearing.card -1.000000
