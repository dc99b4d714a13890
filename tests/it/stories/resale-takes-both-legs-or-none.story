# accounting.md, Resale: retail 0.36, wholesale 0.25 net/h, 20 % both; the reseller collects.
files: common.toml flat.toml wholesale.toml resale.toml
top-up carol 1.00           | 1.000000 0 0
top-up rita 1.00            | 1.000000 0 0
deploy carol vm1 at 0       | 0.568000 0.432000 0
check rita                  | 0.700000 0.300000 0
runs carol vm1 at 0         | 0.568000 0.432000 0
renew carol at 5            | 0.532000 0.432000 0.036000
check rita                  | 0.675000 0.300000 0.025000
renew carol every 5 from 10 to 55
destroy carol vm1 at 60     | 0.568000 0 0.432000
check rita                  | 0.700000 0 0.300000
invoice carol at 70         | 0.570000 0 0
invoice rita at 70          | 0.700000 0 0
books reseller clearing.card -1.000000
books reseller revenue.compute 0.360000
books reseller tax.XX.20 0.070000
books house clearing.card -1.000000
books house revenue.compute 0.250000
books house tax.XX.20 0.050000
# An empty wholesale wallet refuses the whole call: neither leg is taken.
drain rita 0.500000         | 0.200000 0 0
refused carol vm2 at 80 short 0.100000 | 0.570000 0 0
check rita                  | 0.200000 0 0
