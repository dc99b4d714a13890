# A credit line of 1.00 and no money in. Nothing is owed before the invoice but what is held and
# accrued comes out of the line; the invoice opens an item that the payment closes.
files: common.toml flat.toml bob.toml
deploy bob vm1 at 0                 | -0.432000 0.432000 0
deploy bob vm2 at 0                 | -0.864000 0.864000 0
refused bob vm3 at 0 short 0.296000 | -0.864000 0.864000 0
nothing bob vm2 at 0                | -0.432000 0.432000 0
runs bob vm1 at 0                   | -0.432000 0.432000 0
renew bob at 5                      | -0.468000 0.432000 0.036000
owes bob 0
renew bob every 5 from 10 to 55
destroy bob vm1 at 60               | -0.432000 0 0.432000
invoice bob at 70                   | -0.430000 0 0
owes bob 0.430000
paid bob 0.40 at 100                | -0.030000 0 0
owes bob 0.030000
paid bob 0.03 at 110                | 0 0 0
owes bob 0
books house cash.bank -0.430000
