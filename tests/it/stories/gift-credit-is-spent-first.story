# accounting.md, Promo: 1.50 net/h for 1 h, top-up 3.00, promo 1.00. Gift figures after `gift`.
files: common.toml dear.toml alice.toml
top-up alice 3.00           | 3.000000 0 0
promo alice 1.00            | 3.000000 0 0 gift 1.000000 0 0
deploy alice vm1 at 0       | 2.400000 0.600000 0 gift 0 1.000000 0
runs alice vm1 at 0         | 2.400000 0.600000 0 gift 0 1.000000 0
renew alice every 5 from 5 to 40
check alice                 | 1.200000 1.800000 0 gift 0 0 1.000000
renew alice every 5 from 45 to 55
check alice                 | 0.750000 1.800000 0.450000 gift 0 0 1.000000
destroy alice vm1 at 60     | 2.400000 0 0.600000 gift 0 0 1.000000
document alice at 70 net 1.500000 allowance 1.000000 tax 0.100000 total 0.600000
invoice alice at 70         | 2.400000 0 0 gift 0 0 0
books house revenue.compute 0.500000
books house tax.XX.20 0.100000
books house promo_cost 0
