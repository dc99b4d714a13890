# 0.36 net for the month's first VM-hour, 0.24 after it. Both holds are at the dearer price, for
# neither may count on the other; accrual and cover use the exact marginal price. After 5 min:
# 1/6 VM-hour used; ahead 5/6 at 0.36 and 7/6 at 0.24 = 0.58 net. The tier is crossed at 30 min.
files: common.toml graduated.toml alice.toml
top-up alice 2.00           | 2.000000 0 0
deploy alice vm1 at 0       | 1.568000 0.432000 0
deploy alice vm2 at 0       | 1.136000 0.864000 0
runs alice vm1 at 0         | 1.136000 0.864000 0
runs alice vm2 at 0         | 1.136000 0.864000 0
renew alice at 5            | 1.232000 0.696000 0.072000
renew alice every 5 from 10 to 25
renew alice at 30           | 0.992000 0.576000 0.432000
renew alice at 35           | 0.944000 0.576000 0.480000
# From here on a hold is at 0.24 too: the dearer tier is used up.
deploy alice vm3 at 35      | 0.656000 0.864000 0.480000
nothing alice vm3 at 35     | 0.944000 0.576000 0.480000
destroy alice vm1,vm2 at 60 | 1.280000 0 0.720000
invoice alice at 70         | 1.280000 0 0
books house revenue.compute 0.600000
books house tax.XX.20 0.120000
