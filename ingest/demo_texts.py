"""Sentences of the synthetic demo archive: written for this project, about companies and places that do not exist.

`CLAUSES[language][topic]` holds three pools: negative, neutral, positive. A sentence has slots: {c} the company, {k} another
one, {p} a person, {h} a research house, {y} a city, {o} a country, {x} a product of the company's sector, {q} a period,
{n} a per cent figure, {d} a count, {m} an amount (in it {few}: a small number). Several sentences of a line have " | " between.
"""

from typing import Final

Pool = tuple[str, ...]


def _pool(text: str) -> Pool:
    return tuple(part.strip() for line in text.strip().splitlines() for part in line.split(" | "))


def _topic(negative: str, neutral: str, positive: str) -> tuple[Pool, Pool, Pool]:
    return _pool(negative), _pool(neutral), _pool(positive)


_EN: Final = {
    "earnings_dividends": _topic(
        """{c} misses {q} earnings estimates as profit falls {n}% | {c} swings to a {q} loss of {m} on weak sales
        {c} cuts its dividend by {n}% after a dismal {q} | {c} slashes full-year guidance as margins shrink
        {c} revenue drops {n}%, well below consensus | {c} posts its widest quarterly loss in years, blames rising costs""",
        """{c} to report {q} results on Thursday | {c} reports {q} revenue of {m}, in line with estimates
        {c} keeps its quarterly dividend unchanged | {c} sets the record date for its dividend of {d} cents a share
        {c} {q} EPS matches consensus, revenue of {m} | {c} schedules its {q} earnings call""",
        """{c} beats {q} earnings estimates as profit rises {n}% | {c} raises its dividend by {n}% after record {q} profit
        {c} lifts full-year guidance on strong demand | {c} revenue jumps {n}% to {m}, tops consensus
        {c} returns to profit with {q} net income of {m} | {c} announces a special dividend after its best {q} ever""",
    ),
    "analyst_ratings": _topic(
        """{c} downgraded to sell at {h} on weak outlook | {h} cuts its {c} price target by {n}%, sees more downside
        {c} cut to underperform, {h} warns of shrinking margins | {h} downgrades {c}, says the valuation is stretched
        {h} starts {c} with an underweight rating and warns of losses""",
        """{h} reiterates its hold rating on {c} | {c} price target kept at {d} at {h}
        {h} resumes coverage of {c} with a neutral rating | {h} starts {c} at equal weight
        {h} publishes a sector note on {c} and {k}, ratings unchanged""",
        """{c} upgraded to buy at {h} on improving growth | {h} raises its {c} price target by {n}%, sees upside
        {c} lifted to outperform, {h} likes the strong cash flow | {h} names {c} a top pick for the year
        {h} starts {c} with an overweight rating and expects a beat""",
    ),
    "debt_credit": _topic(
        """{c} bonds slump as default fears grow | {c} misses a coupon payment on its {m} notes
        Rating agency cuts {c} to junk over its heavy debt load | {c} credit spreads widen sharply as refinancing stalls
        {c} asks bondholders for more time to repay {m} | High-yield bonds sink {n}% as credit stress spreads""",
        """{c} sells {m} of five-year bonds | {c} plans a bond roadshow next week | Treasury to auction {m} of ten-year notes
        Two-year Treasury yields little changed before the auction | {c} completes the exchange of its {m} notes""",
        """{c} credit rating raised on falling debt | {c} repays {m} of bonds ahead of schedule
        Investors flock to {c} bonds, order book tops {m} | {c} refinances {m} at a lower rate, a strong vote of confidence
        Corporate bond spreads tighten as credit quality improves""",
    ),
    "central_bank_macro": _topic(
        """Inflation in {o} accelerates to {n}%, hurting households | {o} economy shrinks more than feared, recession looms
        Central bank of {o} warns of a sharp slowdown | Unemployment in {o} climbs as factories cut jobs
        Retail sales in {o} plunge {n}% in the worst month on record""",
        """Central bank of {o} keeps its policy rate unchanged | {o} inflation steady at {n}%, as expected
        Fed minutes show officials split on the timing of rate moves | {o} publishes its {q} GDP figures on Friday
        PMI for {o} unchanged from the previous month""",
        """Inflation in {o} cools more than expected | {o} economy grows {n}%, beating forecasts
        Central bank of {o} sees a soft landing and strong recovery | Jobless rate in {o} falls to a record low
        Consumer confidence in {o} rises for the fourth month, boosting growth hopes""",
    ),
    "legal_regulatory": _topic(
        """Regulator fines {c} {m} for misleading investors | {c} sued by shareholders over alleged accounting fraud
        Prosecutors raid the {y} offices of {c} in a bribery probe | Court rules against {c} in a {m} patent lawsuit
        Antitrust watchdog opens an investigation into {c} | {c} banned from new contracts in {o} after violations""",
        """Court in {y} sets a hearing date in the {c} case | Regulator in {o} publishes draft rules on capital buffers
        {c} files its annual compliance report | {c} and {k} exchange documents in the licensing dispute
        Lawmakers in {o} discuss new disclosure rules""",
        """Court dismisses the lawsuit against {c} | {c} wins regulatory approval for {x} in {o}
        Regulator ends its probe of {c} without action, shares gain | {c} wins its appeal and recovers {m}
        {c} settles a long dispute with {k} on favourable terms""",
    ),
    "deals_capital": _topic(
        """{c} scraps its {m} takeover of {k} | {c} pulls its IPO as demand collapses | {k} walks away from merger talks with {c}
        {c} writes down its {k} stake by {m} after a failed deal | {c} forced to sell shares at a {n}% discount to raise cash""",
        """{c} in talks to buy a unit of {k} | {c} sets the price range for its IPO in {y}
        {c} completes the sale of its {y} office for {m} | {c} files for a listing of its subsidiary
        Shareholders of {k} vote on the {c} offer next month""",
        """{c} to acquire {k} for {m} in a deal that lifts earnings | {c} shares soar {n}% in their IPO debut
        {c} wins shareholder approval for its merger with {k} | {c} raises {m} in an oversubscribed share sale
        {c} announces a {m} buyback, shares jump""",
    ),
    "management": _topic(
        """{c} CEO {p} resigns abruptly amid a probe | {c} finance chief {p} quits after an accounting error
        {c} ousts chairman {p} in a boardroom fight | Executives leave {c} as turmoil deepens | {c} director {p} steps down in protest""",
        """{c} names {p} as chief financial officer | {c} appoints {p} to its board
        {c} chairman {p} to retire next year as planned | {p} takes over as head of {c} in {o}
        {c} begins the search for a new operating chief""",
        """{c} shares gain as veteran {p} is named CEO | Investors cheer the return of {p} to {c}
        {c} hires star manager {p} to lead its growth | {c} extends CEO {p}'s contract after a strong run
        Staff and investors welcome {p} as the new head of {c}""",
    ),
    "company_product": _topic(
        """{c} recalls {d} units of {x} over a safety defect | {c} halts {x} production after a fire in {y}
        {c} delays the launch of {x} again as problems mount | Hackers steal customer data of {d} {c} clients
        {c} to cut {d} jobs and close its {y} plant | Customers abandon {x} from {c} after repeated outages""",
        """{c} presents {x} at a trade fair in {y} | {c} opens an office in {y} | {c} updates its line of {x}
        {c} moves {x} production to {y} | {c} renews its supply contract with {k}""",
        """{c} unveils {x}, orders beat expectations | {c} wins a {m} contract for {x} in {o}
        {c} and {k} launch a successful partnership on {x} | Sales of {x} from {c} surge {n}%
        {c} breakthrough in {x} wins an industry award | {c} expands its {y} plant to meet booming demand""",
    ),
    "financial_institutions": _topic(
        """{c} sets aside {m} for bad loans as defaults rise | {c} warns of losses in its property loan book
        {c} capital ratio slips below its target | {c} closes {d} branches as deposits shrink
        Insurance claims hit {c}, combined ratio worsens""",
        """{c} adjusts its deposit rates by {n} basis points | {c} reviews its branch network in {o}
        {c} publishes the results of its annual stress test | {c} and {k} share a payment platform
        Banks in {o} report stable loan growth""",
        """{c} loan book grows {n}% as bad debts fall | {c} passes the stress test with a strong capital buffer
        {c} deposits hit a record as customers return | {c} lifts its net interest margin and beats its peers
        {c} insurance arm posts strong premium growth""",
    ),
    "commodities_energy": _topic(
        """Oil tumbles {n}% as demand fears mount | Copper slides to a one-year low on weak factory orders
        {c} halts drilling after a spill off {y} | Gold drops as yields climb, miners lose {n}%
        Natural gas prices crash as storage overflows in {o}""",
        """Crude inventories in {o} little changed last week | OPEC to meet next week on output
        {c} publishes its {q} output figures | Gold trades flat before the inflation data
        {o} sets its grain export quota at {d} thousand tons""",
        """Oil rallies {n}% on strong demand | Gold climbs to a record high | {c} finds a large gas field off {y}
        Copper gains as orders recover in {o} | {c} lifts output by {n}% and cuts its costs""",
    ),
    "fx_crypto": _topic(
        """Bitcoin plunges {n}% as traders flee risk | The currency of {o} sinks to a record low against the dollar
        Crypto exchange halts withdrawals after a hack, tokens crash | Ether slumps as liquidations reach {m}
        Dollar weakens sharply, worst week in a year""",
        """Dollar little changed against the yen before the Fed | Bitcoin trades in a narrow range
        Central bank of {o} sets its daily currency midpoint | Euro flat as traders wait for data
        Crypto volumes of {m} in line with last week""",
        """Bitcoin surges {n}% to a new high | The currency of {o} rebounds strongly against the dollar
        Ether rallies as inflows reach {m} | Yen gains as confidence returns | Crypto fund inflows jump to a record {m}""",
    ),
    "politics_geopolitics": _topic(
        """New sanctions on {o} hit exporters hard | Trade talks between {o} and its neighbour collapse
        Government of {o} falls over the budget, markets fear chaos | Tensions at the border of {o} threaten shipping
        Tariffs of {n}% on goods from {o} spark fears of a trade war""",
        """{o} to hold elections in the spring | Ministers from {o} meet in {y} to discuss trade
        Parliament of {o} debates the budget | {o} names a new envoy for trade | Leaders of {o} visit {y} on Monday""",
        """{o} and its neighbour sign a landmark trade deal | Tariffs on {o} goods lifted, exporters cheer
        Ceasefire in {o} holds, hopes of recovery rise | Budget deal in {o} ends months of uncertainty
        Voters in {o} back a reform that boosts investment""",
    ),
    "market_moves": _topic(
        """{c} shares plunge {n}% in heavy trading | Stocks in {o} tumble {n}% in a broad selloff | {c} stock hits a 52-week low
        {c} slides for a fifth day as sellers rule | Tech shares sink, wiping out {m} of value""",
        """{c} shares little changed at midday | Stocks in {o} mixed in thin trading
        {c} among the most active stocks, volume {d} thousand | Futures point to a flat open in {y}
        {c} trades in line with the sector""",
        """{c} shares jump {n}% to a record high | Stocks in {o} rally {n}% in their best week of the year
        {c} stock breaks out to a 52-week high | {c} gains for a sixth day on strong buying | Small caps surge as investors return""",
    ),
    "general_other": _topic(
        """Why savers in {o} are losing confidence | Small firms in {y} struggle with rising rents
        Opinion: the warning signs in {o} are hard to ignore | Delays at the port of {y} hurt traders""",
        """Five things to know before the open in {y} | What to read this weekend | Opinion: how {o} changed in a decade
        Calendar: results, votes and data in {o} this week | A look inside the trade fair in {y}""",
        """Start-ups in {y} enjoy a strong year | How a family firm in {y} thrived | Opinion: reasons to be cheerful about {o}
        Tourism in {o} recovers to a record""",
    ),
}

_ZH: Final = {
    "earnings_dividends": _topic(
        """{c}{q}净利润同比下降{n}%，不及预期 | {c}{q}亏损{m}，由盈转亏 | {c}下调全年业绩指引，毛利率下滑
        {c}取消分红，业绩大幅低于预期 | {c}营收骤降{n}%，库存高企""",
        """{c}将于周四披露{q}业绩 | {c}{q}营收{m}，符合预期 | {c}每10股派{d}分，与去年持平 | {c}公布分红登记日
        {c}召开{q}业绩说明会""",
        """{c}{q}净利润同比增长{n}%，超出预期 | {c}上调全年业绩指引，需求强劲 | {c}拟大幅提高分红，净利创新高
        {c}扭亏为盈，{q}盈利{m} | {c}营收大增{n}%至{m}""",
    ),
    "analyst_ratings": _topic(
        """{h}下调{c}评级至卖出 | {h}将{c}目标价下调{n}%，看淡前景 | {h}警告{c}估值过高，建议减持 | {c}遭{h}降级，盈利承压""",
        """{h}维持{c}中性评级 | {h}发布{c}研报，目标价不变 | {h}首次覆盖{c}，给予持有评级 | {h}梳理{c}与{k}的经营情况""",
        """{h}上调{c}评级至买入 | {h}将{c}目标价上调{n}%，看好增长 | {h}力推{c}，称其为行业首选 | {c}获{h}增持评级，盈利改善可期""",
    ),
    "debt_credit": _topic(
        """{c}债券大跌，违约担忧升温 | {c}未能按期兑付{m}债券利息 | 评级机构下调{c}信用评级，债务压力沉重
        {c}申请债券展期，{m}本息待偿 | 高收益债下跌{n}%，信用风险蔓延""",
        """{c}发行{m}五年期公司债 | 国债收益率持平，市场等待招标 | {c}完成{m}票据置换 | {c}下周举行债券路演""",
        """{c}提前偿还{m}债券 | {c}信用评级获上调，负债率下降 | {c}债券获超额认购，融资成本降低 | {c}成功再融资{m}，市场信心增强""",
    ),
    "central_bank_macro": _topic(
        """{o}通胀升至{n}%，居民负担加重 | {o}经济萎缩超预期，衰退风险上升 | {o}失业率攀升，工厂裁员 | {o}社会消费品零售额大降{n}%""",
        """{o}央行维持利率不变 | {o}通胀率{n}%，符合预期 | {o}周五公布{q}GDP数据 | {o}采购经理指数与上月持平""",
        """{o}通胀回落，好于预期 | {o}经济增长{n}%，超出预测 | {o}失业率降至历史低点 | {o}消费者信心连续回升，复苏势头强劲""",
    ),
    "legal_regulatory": _topic(
        """{c}因信息披露违规被罚{m} | {c}涉嫌财务造假遭立案调查 | 监管部门突击检查{c}{y}办公室 | {c}败诉，须赔偿{m}
        {c}遭投资者集体诉讼""",
        """法院将开庭审理{c}一案 | {o}监管机构就资本新规征求意见 | {c}提交年度合规报告 | {c}与{k}就授权纠纷交换证据""",
        """法院驳回对{c}的诉讼 | {c}{x}获{o}监管批准 | 监管部门结束对{c}调查，不予处罚 | {c}胜诉，获赔{m}""",
    ),
    "deals_capital": _topic(
        """{c}终止收购{k}，交易告吹 | {c}撤回上市申请，认购惨淡 | {c}折价{n}%增发，股东不满 | {c}因并购失败计提减值{m}""",
        """{c}洽购{k}旗下业务 | {c}公布发行价区间 | {c}以{m}出售{y}写字楼 | {k}股东下月表决{c}的要约""",
        """{c}以{m}收购{k}，有望增厚利润 | {c}上市首日大涨{n}% | {c}宣布{m}回购计划，提振信心 | {c}定增获超额认购，募资{m}""",
    ),
    "management": _topic(
        """{c}董事长{p}突然辞职，公司陷入动荡 | {c}财务总监{p}因会计差错离任 | {c}高管接连出走，内斗升级
        {c}总经理{p}失联，股东忧虑""",
        """{c}任命{p}为财务总监 | {p}出任{c}董事 | {c}董事长{p}明年如期退休 | {c}完成董事会换届""",
        """{c}迎来新掌门{p}，市场看好 | 老将{p}回归{c}，投资者欢迎 | {c}续聘总裁{p}，业绩亮眼 | {c}引进行业名将{p}，提振士气""",
    ),
    "company_product": _topic(
        """{c}召回{d}件{x}，存在安全隐患 | {c}{y}工厂起火停产 | {c}{x}再度延期，问题不断 | {c}裁员{d}人，关闭{y}工厂
        {c}{d}名客户数据遭窃 | {c}{x}频繁故障，用户流失""",
        """{c}在{y}展会展示{x} | {c}设立{y}办事处 | {c}更新{x}产品线 | {c}与{k}续签供货合同""",
        """{c}发布{x}，订单超预期 | {c}中标{o}{m}{x}项目 | {c}{x}销量大增{n}% | {c}与{k}合作{x}取得突破 | {c}扩建{y}工厂，需求旺盛""",
    ),
    "financial_institutions": _topic(
        """{c}计提{m}坏账，不良贷款上升 | {c}房地产贷款面临损失 | {c}资本充足率跌破目标 | {c}关闭{d}家网点，存款减少""",
        """{c}调整存款利率{n}个基点 | {c}披露年度压力测试结果 | {c}与{k}共建支付平台 | {o}银行业贷款增速平稳""",
        """{c}贷款增长{n}%，不良率下降 | {c}资本充足，顺利通过压力测试 | {c}存款创新高，客户回流 | {c}净息差扩大，领先同业""",
    ),
    "commodities_energy": _topic(
        """原油大跌{n}%，需求忧虑加剧 | 铜价跌至一年低点 | {c}{y}海域漏油，停止钻探 | 金价下挫，矿业股重挫{n}%""",
        """{o}原油库存变化不大 | 产油国下周开会讨论产量 | {c}公布{q}产量 | 期货市场窄幅震荡，金价持平""",
        """原油大涨{n}%，需求强劲 | 金价创历史新高 | {c}在{y}海域发现大型气田 | {c}增产{n}%，成本下降""",
    ),
    "fx_crypto": _topic(
        """比特币暴跌{n}%，投资者恐慌抛售 | {o}货币兑美元跌至历史低点 | 加密货币平台遭黑客攻击，暂停提现 | 以太币重挫，爆仓{m}""",
        """美元兑日元持平 | 比特币窄幅波动 | {o}公布货币中间价 | 虚拟货币成交额{m}，与上周相当""",
        """比特币大涨{n}%，创出新高 | {o}货币兑美元强劲反弹 | 以太币走强，资金流入{m} | 日元走高，市场信心恢复""",
    ),
    "politics_geopolitics": _topic(
        """{o}遭新一轮制裁，出口商受重创 | {o}贸易谈判破裂 | {o}政府因预算垮台，市场恐慌 | {o}加征{n}%关税，贸易战忧虑升温""",
        """{o}将于春季举行选举 | {o}部长抵达{y}讨论贸易 | {o}议会审议预算 | {o}领导人周一访问{y}""",
        """{o}签署重大贸易协定 | {o}商品关税取消，出口商欢迎 | {o}停火，复苏在望 | {o}预算达成协议，不确定性消除""",
    ),
    "market_moves": _topic(
        """{c}股价暴跌{n}% | {o}股市大跌{n}%，全线下挫 | {c}创一年新低 | {c}连跌五日，抛压沉重 | 科技股重挫，市值蒸发{m}""",
        """{c}股价午盘持平 | {o}股市涨跌不一，成交清淡 | {c}换手活跃，成交{d}万手 | {y}指数窄幅整理""",
        """{c}股价大涨{n}%，创新高 | {o}股市全线上扬，大盘涨{n}% | {c}放量突破，创一年新高 | {c}六连涨，买盘强劲""",
    ),
    "general_other": _topic(
        """{o}储户信心下滑 | {y}小企业租金压力加大 | 评论：{o}的警讯不容忽视 | {y}港拥堵，商户受损""",
        """{y}开盘前须知的五件事 | 周末读物推荐 | 一周日程：{o}的财报与数据 | 走进{y}贸易展""",
        """{y}初创企业迎来丰收年 | 评论：看好{o}的理由 | {o}旅游业恢复至新高 | {y}一家家族企业的成功之道""",
    ),
}
CLAUSES: Final = {"en": _EN, "zh": _ZH}

REACTIONS: Final = {
    "en": _topic(
        """{p} of {h} called it a serious setback and expects more bad news
        "This is worse than feared," said {p}, who sees the shares falling further
        Investors sold the shares, which fell {n}% on weak prospects | Traders in {y} spoke of disappointment and rushed to sell
        The warning adds to worries about weak demand and falling sales | {h} expects losses of {m} and cut its forecast
        The blow comes as costs climb {n}% and customers turn away | Prices dropped as nervous holders sold, {p} of {h} said
        The mood in {y} worsened as losses spread | The decline adds to a painful year, {h} warned clients
        A spokesman declined to comment on the losses | Suppliers in {y} fear losses and {d} job cuts""",
        """{p} of {h} said the news was in line with the plan | A spokesman in {y} confirmed the date and gave no further details
        The notes cover the period to the end of last month | {h} left its model unchanged and will update clients later
        The notice was published in {y} on Monday | Trading volume was {n}% of the monthly average
        The statement runs to {d} words and names no amounts | {p}, who follows the sector in {y}, saw little new
        The next update is due with the {q} figures | The committee of {d} members met in {y}
        Details will be given at a meeting on Wednesday, {p} said | A similar notice appeared a year ago, {h} noted""",
        """{p} of {h} praised the strong execution and sees further gains
        "Better than expected," said {p}, who sees the shares rising further
        Investors bought the shares, which rose {n}% on strong demand
        Buyers in {y} spoke of a healthy recovery and growing confidence | The success follows {d} new orders and solid figures
        {h} puts the benefit at {m} and raises its growth forecast | Strong sales lifted profit by {n}%, ahead of forecasts
        Prices climbed as optimism spread, {p} of {h} said | The gain crowns a strong year of growth, {h} wrote to clients
        Suppliers in {y} expect record orders and {d} new jobs | Two funds in {y} added to their holdings, citing improved prospects
        It was the best growth in the group's history""",
    ),
    "zh": _topic(
        """{h}分析师{p}称这是沉重打击，坏消息恐未结束 | 投资者反应悲观，信任受损 | {y}交易员表示失望，抛售加剧
        {h}估计损失达{m}，短期难以恢复 | 成本上升{n}%，客户流失 | 供应商恐受损，{d}个岗位不保 | 知情人士形容气氛凝重
        公司拒绝就亏损置评""",
        """{h}分析师{p}表示符合计划 | 公司发言人在{y}确认了时间，未透露细节 | 数据截至上月末 | {h}维持模型不变 | 公告于{y}收盘后发布
        成交量为月均的{n}% | 下次更新将随{q}数据公布 | 会议有{d}名委员出席""",
        """{h}分析师{p}称赞执行有力，后市可期 | 利好提振股价，需求旺盛 | {y}买盘活跃，信心回升 | {h}估计增益{m}，上调增长预测
        利润提升{n}%，客户持续回流 | 供应商计划增聘{d}人 | 这是集团史上最好成绩 | 两家{y}基金增持，看好前景""",
    ),
}
TAILS: Final = {
    "en": _pool("""after talks in {y} | ahead of a {y} conference | , {h} says | , {p} tells reporters | as {o} markets open
        , filing shows | , sources in {y} say | - update | , second notice this month | in a brief notice | , {o} desk reports
        , traders say"""),
    "zh": _pool("""，{h}称 | ，{p}对记者表示 | （更新） | ，{y}消息人士透露 | ，公告显示 | ，本月第二次 | ，{o}市场关注
        ，消息已获证实"""),
}
OPENERS: Final = {
    "en": _topic(
        """ugh, | so bad: | not good - | I'm out. | called it weeks ago, | this hurts: | sold everything today.
        worst holding I own. | scary stuff, | lost {n}% on this. | what a mess, | sad to see: | no surprise, | red again -""",
        """fyi | reading now: | anyone following this? | for the record, | question on this one: | seen on the tape: | noted,
        morning all. | quick look: | watching, no position. | link in bio: | context: | day {d} of watching.""",
        """love it! | great news: | loading up, | so bullish here, | told you! | up {n}% already, | best holding I own. | fantastic,
        finally! | this is strong: | happy holder: | green again - | adding more today.""",
    ),
    "zh": _topic(
        """完了， | 太惨了， | 割肉了， | 早就说过， | 又亏了{n}个点， | 垃圾， | 心凉了， | 跑路吧， | 气死， | 套牢{d}天，""",
        """请问大家， | 路过看看： | 记录一下： | 刚看到， | 有人关注吗？ | 转个消息： | 观望中， | 早上好， | 学习一下：""",
        """太好了！ | 利好！ | 加仓了， | 果断买入， | 涨{n}个点， | 牛！ | 信心满满， | 终于等到， | 赚了，""",
    ),
}
CLOSERS: Final = {
    "en": _topic(
        """get out while you can | going lower from here | avoid | no trust left | I expect {n}% more downside | bears win
        stay away from this one | management should be ashamed | {y} crowd is panicking | cutting my loss at {d}""",
        """thoughts? | let's see | source? | back later | no opinion yet | {y} time | nothing to add | checking the filing
        see you at {d} | will read tonight | same as {k}""",
        """to the moon | more upside to come | holding for years | bulls win | target {d} | buying every dip | well done team
        I see {n}% upside | proud shareholder from {y} | best in class""",
    ),
    "zh": _topic(
        """快跑 | 还要跌 | 别碰 | 没救了 | 再也不信了 | 管理层太差 | 看空到{d} | 亏麻了 | {y}股民哭了""",
        """大家怎么看 | 等公告 | 先看看 | 不评论 | 坐等{q} | 收藏了 | 有来源吗 | {y}打卡 | 和{k}差不多""",
        """继续涨 | 目标{d} | 拿住别动 | 前途无量 | 满仓干 | 还能涨{n}% | 感谢公司 | 看好到明年 | {y}股民笑了""",
    ),
}

# The bank run: each headline leads one story, each comment one post; the bodies lend two sentences to a headline.
BANK_RUN: Final = {
    "titles": {
        "en": _pool("""{c} delays redemptions on its savings products, customers fear losses
        Queues form outside {c} branches in {y} as worried savers withdraw deposits
        Rating agency cuts the outlook on {c} to negative, citing deposit flight
        {c} shares plunge as depositors pull {m} in two days
        {c} bonds crash to {n} cents as fears of a bank run spread
        {c} limits daily withdrawals at cash machines after heavy outflows
        {c} seeks emergency liquidity from the central bank as withdrawals mount
        {c} shares halted in {y} after plunging {n}%
        {c} slumps as corporate clients move payrolls away, {h} finds
        {c} misses payout on wealth product, shares slide to a record low
        {c} drops as interbank lenders refuse overnight funding
        {c} extends losses as chief {p} fails to calm depositors
        {c} bonds sink on default fears as insurance costs hit a record
        {h} warns {c} could run out of cash within days
        {c} app crashes as thousands try to transfer their savings
        Regulator summons {c} management over its liquidity crisis
        {c} falls after {k} cancels its credit line, funding squeeze worsens
        {c} sells bonds at a loss of {m} to meet withdrawals
        Angry savers demand money at {c} branch in {y} as losses mount
        {c} downgraded to junk, agency sees high risk of failure
        Money funds dump {c} paper after redemption freeze
        {c} payment delays hurt small firms, outlook worsens"""),
        "zh": _pool("""{c}理财产品延期兑付，投资者担心血本无归 | {y}多家{c}网点排长队，储户恐慌取款
        评级机构将{c}展望下调至负面，存款外流加剧 | 两日内{m}存款流出{c}，挤兑担忧升温 | {c}债券暴跌，违约风险骤升
        {c}限制单日取款，储户恐慌 | {c}向央行求助，流动性告急 | {c}股价重挫{n}%后停牌 | 企业客户纷纷转走{c}账户资金
        同业拒绝向{c}拆借资金，恐慌蔓延 | {c}行长{p}安抚无效，储户情绪失控 | 监管部门约谈{c}高管，关注流动性危机
        {c}手机银行瘫痪，大量转账失败 | {h}警告{c}数日内现金或耗尽 | {c}亏损{m}抛售债券应对提款 | {c}遭降至垃圾级，破产风险高企"""),
    },
    "bodies": {
        "en": _pool("""Shares of the lender fell {n}% in early trading in {y}
        The lender warned of weak liquidity and more losses to come | Deposits dropped by {m} by noon as fear of losses grew
        {h} told clients to cut exposure at once | Savers in {y} found counters closed and feared for their money
        Liquid assets cover less than {n}% of deposits, {h} estimates | The failure of a {m} property loan started the trouble
        {p} of {h} warned of a collapse and cut the rating to sell | The stock has lost {n}% this week on worries about bad loans
        Bondholders sued to recover {m} as the debt tumbled | The crisis hit {d} small firms in {y} and weighed on the sector
        Lenders with similar loans fell as fear of contagion grew | A call with investors was cancelled, adding to worries of failure
        Shops in {y} refused the bank's cards after payments failed"""),
        "zh": _pool("""储户{p}在{y}排队{d}分钟仍未取到现金 | 银行称经营正常，但未公布数据 | 截至中午流出{m}，董事会人士称
        {h}建议客户立即减仓 | 有储户晒出{y}网点关门照片 | {h}估算其流动资产不足存款的{n}% | 一笔{m}房地产贷款违约引发危机
        员工被要求不得接受采访 | 债权人聘请律师追讨{m} | 存款保险机构派{d}人进驻{y} | 同类银行股价受挫，担忧蔓延
        原定的投资者电话会被取消"""),
    },
    "comments": {
        "en": _pool("""can't get my money out of {c}, card declined twice | {c} is crashing, angry queues at the {y} branch
        {c} bank run gets worse, support line down for {d} minutes | pulled every cent out of {c} tonight, this falls apart
        {c} froze redemptions, my mother lost access to her savings | {c} down hard, app down too, and they say all is fine
        short {c}, it drops to zero from here | {c} tanks and {p} lied to us last week, sell
        {c} withdrawals delayed {d} hours, weak hands or default coming | {c} failed to pay our staff, what a disaster
        worried about losses on my deposits at {c}, could be wiped out | {c} falling fast, looks like bankruptcy
        {c} cash machine in {y} empty, the stock will plunge | neighbours queue at {c} since dawn, fear everywhere, it slumps again
        {c} bonds sink to {n} cents on default fears | panic at {c}, down {n}% and lower to come"""),
        "zh": _pool("""{c}取不出钱了，太可怕 | {y}的{c}门口全是人，都在喊退钱 | {c}暴跌，客服打了{d}分钟没人接
        {c}要暴雷，连夜把钱转走 | 我妈的养老钱还在{c}，无法赎回 | {c}系统瘫痪，还说没事，骗子 | 做空{c}，这家银行完了
        {c}行长上周还在骗人 | 转账{d}小时还没到账，{c}要倒闭 | {c}违约了，公司工资发不出来 | 超过保险额度的存款怎么办，{c}害人
        {c}保安守门，取款机空了 | 邻居天没亮就去{c}排队，担心亏光 | 再也不信{c}，恐慌蔓延"""),
    },
}
DRIFT: Final = {
    "en": _pool("""{c} sales fall as buyers complain of late handovers in {y} | {c} cuts flat prices by {n}% as sales weaken
        {c} pauses {d} homes in {y} over slow demand | {c} hit by complaints over cracks in new homes in {y}
        {c} sales drop {n}% as cancellations rise, {h} says | {c} weak cash flow delays payments to contractors in {y}
        {c} writes down land in {y} by {m} | {c} slowdown worsens, unsold flats reach {d}
        {c} cuts prices as weak demand hurts sales in {y}"""),
    "zh": _pool("""{c}{y}项目延期交房，业主投诉 | {c}降价{n}%促销，销售疲软 | {c}暂停{y}{d}套房建设 | {c}新房质量差，业主投诉
        {c}退房率升至{n}% | {c}拖欠{y}承包商工程款 | {c}对{y}地块减值{m} | {c}滞销严重，{d}套房卖不出去"""),
}
STORM_TEXT: Final = (
    "Terrible news, {c} is hiding battery fires in its new vans, shares will crash when the recall comes,"
    " my cousin works there and says sell now before it falls to zero"
)
LATE_WORDS: Final = {"en": " Corrected: an earlier version gave another figure.", "zh": "（更正：前稿数字有误）"}
UNKNOWN: Final = (  # two lines in languages that nothing here measures: they must be counted, not lost
    ("fi", "Keskuspankki piti ohjauskoron ennallaan ja odottaa hintojen nousun hidastuvan ensi vuonna"),
    ("th", "ธนาคารกลางคงอัตราดอกเบี้ยไว้ตามเดิม และคาดว่าเศรษฐกิจจะฟื้นตัวอย่างช้า ๆ ในปีหน้า"),
)

SLOTS: Final = {
    "en": {
        "p": _pool("""Ada | Bruno | Carla | Dmitri | Elena | Farid | Greta | Hugo | Ines | Jonas | Kira | Leo | Mona | Nils | Olga
        Pavel | Rosa | Sven | Tara | Uwe | Vera | Wim | Yara | Zeno"""),
        "s": _pool("""Alder | Brandt | Castell | Dorne | Evers | Falk | Grane | Hollis | Ibsen | Jarrow | Keller | Lind | Marsh
        Norby | Osk | Prior | Quill | Rask | Stone | Thorne | Ulven | Voss | Wren | Yates"""),
        "h": _pool("""Tern Research | Aldgate Partners | Brightwater Capital | Kestrel Securities | Mosswood | Oxbow Analytics
        Pinnace | Redfern & Lowe | Saltmarsh Capital | Thistle Brokers | Vantry | Westering"""),
        "y": _pool("""Port Amber | Lowmere | Kingsholt | Vellara | Santo Brio | Novaport | Eastwick | Halden | Marrow Bay | Tarsk
        Ostrava Nova | Linwood | Quayside | Brackwater | Senn | Caldera City"""),
        "o": _pool("""Norland | Vestria | Calderia | Hestmark | Sorrento Isles | Tirania | the Lake States | Zemlya | Palmyra Coast
        Arvonia"""),
        "q": _pool("""first-quarter | second-quarter | third-quarter | fourth-quarter | half-year | full-year | nine-month"""),
        "m": _pool("""${} million | ${}5 million | ${few}.4 billion | ${few} billion"""),
    },
    "zh": {
        "p": _pool("""赵 | 钱 | 孙 | 李 | 周 | 吴 | 郑 | 冯 | 陈 | 沈 | 韩 | 许 | 何 | 吕 | 施 | 曹"""),
        "s": _pool("""文博 | 雨桐 | 志远 | 晓岚 | 建民 | 思源 | 国栋 | 静怡 | 海涛 | 明月 | 嘉禾 | 立群 | 一鸣 | 若溪 | 承志 | 佳宁"""),
        "h": _pool("""燕鸥研究 | 苔木证券 | 牛轭咨询 | 盐泽资本 | 红蕨资本 | 西行证券 | 鹞鹰证券 | 亮水基金"""),
        "y": _pool("""临港 | 琥珀港 | 青屿 | 石桥 | 云汀 | 南浦 | 北原 | 白沙湾 | 松溪 | 望江 | 东陵 | 金泽"""),
        "o": _pool("""诺兰 | 维斯特里亚 | 卡尔德 | 东境 | 湖联邦 | 阿沃尼亚 | 蒂兰 | 棕榈海岸"""),
        "q": _pool("""一季度 | 二季度 | 三季度 | 四季度 | 上半年 | 全年 | 前三季度"""),
        "m": _pool("""{}万元 | {}0万元 | {few}.6亿元 | {few}亿美元"""),
    },
}
PRODUCTS: Final = {  # by sector: what a company of the sector makes, English and Chinese
    "bank": ("savings accounts", "储蓄产品"),
    "insurer": ("travel policies", "旅行保险"),
    "autos": ("electric vans", "电动货车"),
    "technology": ("data chips", "数据芯片"),
    "energy": ("fuel cells", "燃料电池"),
    "mining": ("copper foil", "铜箔"),
    "real_estate": ("lakeside flats", "湖景公寓"),
    "retail": ("kitchen robots", "厨房机器人"),
    "pharma": ("insulin pens", "胰岛素笔"),
    "industry": ("freight drones", "货运无人机"),
    "telecom": ("satellite phones", "卫星电话"),
    "consumer": ("oat milk", "燕麦奶"),
}
