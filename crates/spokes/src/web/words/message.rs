//! What we say when something did not go as hoped, in both tongues.

use super::words;

words! {
    /// A title and three sentences: what happened, what is safe, what to do ([`crate::web::message`]).
    Sentences: [&'static str; 4] {
        no_such_blog: [
            "No such blog",
            "There is no blog named “{name}” on {domain}.",
            "Nothing was lost: this name is not in use.",
            "Check the spelling, or look for the blog from the front page of {domain}.",
        ], [
            "لا توجد مدونة كهذه",
            "لا توجد مدونة باسم «{name}» على {domain}.",
            "لم يضع شيء: هذا الاسم غير مستعمل.",
            "راجع الاسم، أو ابحث عن المدونة من الصفحة الأولى في {domain}.",
        ];
        no_such_blog_known: [
            "No such blog known here",
            "This server knows no blog named “{name}” on {domain}. The network’s council, which may know a newer one, does not answer.",
            "Nothing was lost: where the blog exists, its own servers hold it.",
            "Try again in a minute.",
        ], [
            "لا نعرف هنا مدونة كهذه",
            "لا يعرف هذا الخادم مدونة باسم «{name}» على {domain}، ومجلس الشبكة الذي قد يعرف مدونة أحدث لا يجيب.",
            "لم يضع شيء: إن وُجدت المدونة فخوادمها تحفظها.",
            "حاول مرة أخرى بعد دقيقة.",
        ];
        no_such_page: [
            "No such page",
            "{domain} has nothing at this address.",
            "Nothing was lost: every blog has an address of its own.",
            "Check the address, or start from the front page of {domain}.",
        ], [
            "لا توجد صفحة كهذه",
            "لا شيء في {domain} على هذا العنوان.",
            "لم يضع شيء: لكل مدونة عنوانها الخاص.",
            "راجع العنوان، أو ابدأ من الصفحة الأولى في {domain}.",
        ];
        no_such_post: [
            "No such post",
            "This blog has nothing at this address. Where there was something, its author has moved or erased it.",
            "Everything that the archive of this blog lists is held and can be read.",
            "Check the address, or look through the archive of this blog.",
        ], [
            "لا توجد تدوينة كهذه",
            "لا شيء في هذه المدونة على هذا العنوان. وإن كان هنا شيء فقد نقله صاحبها أو محاه.",
            "كل ما يذكره أرشيف هذه المدونة محفوظ ويمكن قراءته.",
            "راجع العنوان، أو تصفح أرشيف هذه المدونة.",
        ];
        no_such_post_yet: [
            "No such post here yet",
            "This server has nothing at this address, but it may be late: the blog’s primary did not answer.",
            "Everything listed on this blog is held here and can be read.",
            "If somebody has just sent you this address, try again in a minute.",
        ], [
            "لا توجد تدوينة كهذه هنا بعد",
            "لا شيء في هذا الخادم على هذا العنوان، لكنه قد يكون متأخرًا: لم يجب الخادم الأساسي للمدونة.",
            "كل ما تذكره هذه المدونة محفوظ هنا ويمكن قراءته.",
            "إن كان أحد قد أرسل إليك هذا العنوان للتو فحاول مرة أخرى بعد دقيقة.",
        ];
        erased_post: [
            "This post was erased",
            "Its author has erased this post.",
            "The rest of the blog is untouched, and its chain of signatures still holds.",
            "There is nothing that you need to do. Other posts are in the archive.",
        ], [
            "مُحيت هذه التدوينة",
            "محا الكاتب هذه التدوينة.",
            "بقية المدونة لم تُمس، وسلسلة توقيعاتها ما زالت سليمة.",
            "لا يلزمك فعل شيء. التدوينات الأخرى في الأرشيف.",
        ];
        no_holder_answers: [
            "This blog cannot be reached right now",
            "This server does not hold the blog “{name}”, and none of the servers that hold it has answered.",
            "The blog has not gone: its servers keep their copies on disk.",
            "Try again in a minute. The network is already looking for a way round.",
        ], [
            "لا يمكن الوصول إلى هذه المدونة الآن",
            "لا يحفظ هذا الخادم المدونة «{name}»، ولم يجب أي خادم من الخوادم التي تحفظها.",
            "لم تذهب المدونة: نسخها باقية على أقراص خوادمها.",
            "حاول مرة أخرى بعد دقيقة. والشبكة تبحث عن طريق آخر.",
        ];
        holders_are_gone: [
            "This blog cannot be reached right now",
            "This server does not hold the blog “{name}”, and too many of the servers that hold it are silent for the others to go on by themselves.",
            "Their copies are on their disks, and nobody else has taken their place.",
            "Try again later. It comes back with one of them, or when an organizer of {domain} lets it go on without them: if you know one, ask.",
        ], [
            "لا يمكن الوصول إلى هذه المدونة الآن",
            "لا يحفظ هذا الخادم المدونة «{name}»، وأكثر الخوادم التي تحفظها لا تجيب، فلا تستطيع البقية أن تمضي وحدها.",
            "نسخها باقية على أقراص خوادمها، ولم يحل محلها أحد.",
            "حاول مرة أخرى لاحقًا. تعود المدونة مع أحد هذه الخوادم، أو حين يأذن أحد منظمي {domain} بأن تمضي من دونها: فاسأل من تعرفه منهم.",
        ];
        name_taken: [
            "This name is taken",
            "“{name}” is taken.",
            "Your draft and your key are with you, unchanged.",
            "Choose another name and send it again.",
        ], [
            "هذا الاسم محجوز",
            "الاسم «{name}» محجوز لغيرك.",
            "مسودتك ومفتاحك عندك كما كانا.",
            "اختر اسمًا آخر ثم أرسلها مرة أخرى.",
        ];
        spoke_full: [
            "This server is full",
            "The server “{spoke}” has no room for another blog.",
            "The blogs that it holds are safe, and your draft is with you.",
            "Start again from {domain}: it leads to servers with room.",
        ], [
            "هذا الخادم ممتلئ",
            "لا يتسع الخادم «{spoke}» لمدونة أخرى.",
            "المدونات التي يحفظها سالمة، ومسودتك عندك.",
            "ابدأ من جديد من {domain}: فهو يقود إلى خوادم فيها متسع.",
        ];
        damaged_copy: [
            "This copy is damaged",
            "This server’s copy of the post was altered or lost, and no other server of the blog could give a good one just now.",
            "Nothing altered is ever shown. The other posts here are as their author signed them.",
            "Try again in a minute, or read the post on another server of this blog.",
        ], [
            "هذه النسخة تالفة",
            "نسخة هذا الخادم من التدوينة حُرّفت أو ضاعت، ولم يستطع خادم آخر من خوادم المدونة أن يعطي نسخة سليمة الآن.",
            "لا يُعرض شيء محرّف أبدًا. والتدوينات الأخرى هنا كما وقّعها كاتبها.",
            "حاول مرة أخرى بعد دقيقة، أو اقرأ التدوينة على خادم آخر من خوادم هذه المدونة.",
        ];
        busy: [
            "This server is busy",
            "This server has more to do than it can manage just now.",
            "Nothing that was published is in danger. What you just sent may not have arrived.",
            "Try again in {seconds}.",
        ], [
            "هذا الخادم مشغول",
            "على هذا الخادم من العمل أكثر مما يطيق الآن.",
            "لا خطر على شيء مما نُشر. وما أرسلته للتو ربما لم يصل.",
            "حاول مرة أخرى بعد {seconds}.",
        ];
        bad_request: [
            "This request was not understood",
            "{reason}",
            "Nothing was changed.",
            "Go back, correct it, and send it again.",
        ], [
            "لم يُفهم هذا الطلب",
            "{reason}",
            "لم يتغير شيء.",
            "عد إلى الوراء وصححه ثم أرسله مرة أخرى.",
        ];
    }
}
